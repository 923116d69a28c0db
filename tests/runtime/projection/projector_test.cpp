#include "runtime/projection/projector.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <numeric>
#include <thread>

#include "runtime/journal/rocks_journal.hpp"
#include "runtime/telemetry/metrics.hpp"
#include "tests/queued_executor.hpp"
#include "tests/runtime/projection/tally.hpp"

namespace cx {
namespace {

using Rows = std::map<std::string, std::int64_t>;
const Error kRefused{Code::internal, "refused", "This record is refused.", ""};

struct Fixture {
  Fixture() { open(); }

  void open() {
    journal.reset();
    auto opened = RocksJournal::open("/data", environment);
    REQUIRE(opened);
    journal = std::move(*opened);
    std::vector<std::uint32_t> shards(kShards);
    std::iota(shards.begin(), shards.end(), 0);
    heads.clear();
    for (auto& head : journal->open(shards, std::nullopt)) {
      REQUIRE(head);
      heads.push_back(*head);
    }
  }

  void append(std::uint32_t shard, std::size_t records, bool sync = true) {
    Append append{shard, heads[shard].epoch, heads[shard].last, {}, {}};
    for (std::size_t i = 0; i < records; ++i) {
      v1::JournalRecord record;
      record.set_shard(shard);
      record.set_sequence(++heads[shard].last);
      record.set_entity("e" + std::to_string((shard + heads[shard].last) % 7));
      record.set_now(environment.clock().unix_ms());
      append.records.push_back(record.SerializeAsString());
    }
    const auto results = journal->append({&append, 1}, sync);
    REQUIRE(!results.front());
  }

  /// What a Tally of the whole log is.
  Rows expected() const {
    Rows out;
    bool good = true;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      const auto error = journal->read(shard, 0, [&](std::uint64_t, std::string_view bytes) {
        v1::JournalRecord record;
        good = good && record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
        ++out[record.entity()];
        return true;
      });
      good = good && !error;
    }
    CHECK(good);
    return out;
  }

  std::unique_ptr<Projector> projector(std::initializer_list<Projection*> projections,
                                       ProjectorOptions options = {}) {
    auto out = std::make_unique<Projector>(*journal, executor, environment.clock(), options);
    for (auto* projection : projections) out->add(*projection);
    return out;
  }
  void poll(Projector& projector, std::int64_t after_ms = 1'000) {
    environment.set_clock().advance(after_ms);
    projector.poll();
    executor.run();
  }

  test::FaultEnvironment environment;
  test::QueuedExecutor executor;
  std::unique_ptr<Journal> journal;
  std::vector<Head> heads;
};

template <class Use>
void with_each_home(const Use& use) {
  {
    Fixture f;
    test::RocksTally tally(f.environment);
    use(f, tally);
  }
  Fixture f;
  test::SqliteTally tally;
  use(f, tally);
}

}  // namespace

TEST_CASE("a projection catches up with the log, in bounded batches, and its lag goes to 0") {
  with_each_home([](Fixture& f, test::Tally& tally) {
    for (const std::uint32_t shard : {0U, 63U, 64U, 1023U}) f.append(shard, 250);
    f.environment.set_clock().advance(5'000);
    auto projector = f.projector({&tally}, {.batch = 100});
    for (std::uint64_t before = 1'000; f.executor.run_one();) {
      const auto lag = projector->status().front().lag_records;
      CHECK(before - lag <= 100);
      before = lag;
    }
    CHECK(tally.rows() == f.expected());
    CHECK(tally.projected == 1'000);
    const auto status = projector->status().front();
    CHECK(status.lag_records == 0);
    CHECK(status.lag_ms == 0);
    CHECK(status.done == 1'000);
    CHECK(status.total == 1'000);
    CHECK(status.state == "running");

    f.append(5, 3);
    f.append(6, 1);
    projector->notify(5);
    projector->notify(5);
    CHECK(f.executor.run() == 1);
    CHECK(projector->status().front().lag_records == 0);
    f.environment.set_clock().advance(2'000);
    CHECK(tally.rows() != f.expected());
    f.poll(*projector);  // finds what nobody notified of
    CHECK(tally.rows() == f.expected());
  });
}

TEST_CASE("lag is counted in records and in the age of the oldest") {
  Fixture f;
  test::RocksTally tally(f.environment);
  auto projector = f.projector({&tally});
  f.executor.run();
  CHECK(!projector->pause("tally"));
  f.append(3, 1);
  f.environment.set_clock().advance(2'000);
  f.append(4, 5);
  f.poll(*projector, 500);
  auto status = projector->status().front();
  CHECK(status.state == "paused");
  CHECK(status.lag_records == 6);
  CHECK(status.lag_ms == 2'500);
  Metrics metrics("n");
  projector->measure(metrics);
  const auto text = metrics.prometheus_text();
  CHECK(text.find("cx_projection_lag_records{projection=\"tally\"} 6") != text.npos);
  CHECK(text.find("cx_projection_lag_seconds{projection=\"tally\"} 2.5") != text.npos);
  CHECK(!projector->resume("tally"));
  f.executor.run();
  status = projector->status().front();
  CHECK(status.lag_records == 0);
  CHECK(status.lag_ms == 0);
  CHECK(projector->pause("other")->code == Code::not_found);
}

TEST_CASE("every record has its effect once, whatever crashes and fails between batches") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed)
    with_each_home([seed](Fixture& f, test::Tally& tally) {
      CAPTURE(seed);
      Random random(seed);
      auto projector = f.projector({&tally}, {.batch = 10});
      tally.hook = [&](const v1::JournalRecord&) -> std::optional<Error> {
        if (random.below(200) == 0) return kRefused;
        if (random.below(200) == 0) throw std::runtime_error("thrown");
        return std::nullopt;
      };
      for (int step = 0; step < 60; ++step) {
        const auto shard = random.below(12) * 90;
        f.append(shard, 1 + random.below(15));
        projector->notify(shard);
        for (auto turns = random.below(8); turns > 0; --turns) f.executor.run_one();
        switch (random.below(8)) {
          case 0:  // the process dies, and lives again
            projector.reset();
            tally.reopen();
            projector = f.projector({&tally}, {.batch = 10});
            break;
          case 1:  // a write or a sync of the sink fails; nothing else does by then
            f.executor.run();
            f.append(shard, 2);
            projector->notify(shard);
            f.environment.disk().fail({.operation = random.below(2) == 0 ? test::FaultFiles::Operation::write
                                                                         : test::FaultFiles::Operation::sync,
                                       .keep = random.below(40),
                                       .suffix = ".log"});
            projector->poll();
            f.executor.run();
            f.environment.disk().heal();
            break;
          case 2:
            f.poll(*projector);
            break;
          case 3:
            CHECK(!projector->rebuild("tally"));
            break;
          default:
            break;
        }
      }
      tally.hook = nullptr;
      for (int i = 0; i < 4; ++i) f.poll(*projector, 100'000);
      const auto status = projector->status().front();
      CHECK(status.lag_records == 0);
      CHECK(status.stuck.empty());
      CHECK(!status.error);
      CHECK(tally.rows() == f.expected());
      // And so does one that begins now.
      test::RocksTally fresh(f.environment);
      fresh.name_ = "fresh";
      fresh.reopen();
      auto second = f.projector({&fresh});
      f.executor.run();
      CHECK(fresh.rows() == tally.rows());
    });
}

TEST_CASE("a loss of power takes back no record whose effect stays, and no effect without its cursor") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    Fixture f;
    Random random(seed);
    test::RocksTally tally(f.environment);
    Rows gone;  // with the truncated part of the log
    for (int life = 0; life < 4; ++life) {
      auto projector = f.projector({&tally}, {.batch = 10, .sync_journal = true});
      for (int step = 0; step < 20; ++step) {
        const auto shard = random.below(5);
        f.append(shard, 1 + random.below(5), false);  // unsynced: relaxed, or synced at intervals
        projector->notify(shard);
        for (auto turns = random.below(3); turns > 0; --turns) f.executor.run_one();
        if (random.below(6) == 0) f.poll(*projector);
        const auto truncated = random.below(5);
        const auto upto = projector->retain_after(truncated);
        if (random.below(10) > 0 || upto + 1 <= f.journal->head(truncated)->first) continue;
        REQUIRE(!f.journal->read(truncated, 0, [&](std::uint64_t sequence, std::string_view bytes) {
          v1::JournalRecord record;
          if (sequence <= upto && record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
            ++gone[record.entity()];
          return sequence < upto;
        }));
        REQUIRE(!f.journal->truncate(truncated, upto, {}));
      }
      f.environment.disk().lose_power();
      projector.reset();
      f.executor.run();
      tally.reopen();
      f.journal.reset();
      f.environment.disk().restore_power(random.next());
      f.open();
    }
    auto projector = f.projector({&tally});
    f.executor.run();
    CHECK(projector->status().front().stuck.empty());
    CHECK(projector->status().front().missed == 0);
    auto expected = f.expected();
    for (const auto& [entity, n] : gone) expected[entity] += n;
    CHECK(tally.rows() == expected);
  }
}

TEST_CASE("another version is built from the start, and rebuilding shows how far it is") {
  with_each_home([](Fixture& f, test::Tally& tally) {
    for (std::uint32_t shard = 0; shard < 10; ++shard) f.append(shard, 50);
    {
      auto projector = f.projector({&tally});
      f.executor.run();
    }
    tally.reopen();
    tally.projected = 0;
    {
      auto same = f.projector({&tally});
      f.executor.run();
      CHECK(tally.projected == 0);
    }
    tally.reopen();
    tally.version_ = 2;
    auto projector = f.projector({&tally}, {.batch = 100});
    std::vector<std::uint64_t> done;
    while (f.executor.run_one()) {
      const auto status = projector->status().front();
      CHECK(status.total == 500);
      CHECK(status.state == (status.done < 500 ? "rebuilding" : "running"));
      done.push_back(status.done);
    }
    CHECK(std::is_sorted(done.begin(), done.end()));
    CHECK(done.front() == 100);
    CHECK(done.back() == 500);
    CHECK(tally.projected == 500);
    CHECK(tally.rows() == f.expected());
    f.environment.set_clock().advance(1'000);
    CHECK(!projector->rebuild("tally"));
    f.executor.run();
    CHECK(tally.projected == 1'000);
    CHECK(tally.rows() == f.expected());
    f.poll(*projector);
    CHECK(projector->status().front().per_second == doctest::Approx(500));
  });
}

TEST_CASE("a record that cannot be projected holds up its shard alone, is reported, retried and skipped") {
  with_each_home([](Fixture& f, test::Tally& tally) {
    tally.hook = [](const v1::JournalRecord& record) -> std::optional<Error> {
      if (record.shard() == 7 && record.sequence() == 30) return kRefused;
      if (record.shard() == 8 && record.sequence() == 1) throw std::runtime_error("thrown");
      return std::nullopt;
    };
    test::RocksTally other(f.environment);
    other.name_ = "other";
    other.reopen();
    for (const std::uint32_t shard : {6U, 7U, 8U, 9U}) f.append(shard, 60);
    auto projector = f.projector({&tally, &other});
    CHECK(f.executor.run() < 200);  // does not spin
    CHECK(other.rows() == f.expected());
    auto status = projector->status().front();
    CHECK(status.lag_records == 31 + 60);
    REQUIRE(status.stuck.size() == 2);
    CHECK(status.stuck[0].shard == 7);
    CHECK(status.stuck[0].sequence == 30);
    CHECK(status.stuck[0].attempts == 1);
    CHECK(status.stuck[0].error.type == "refused");
    CHECK(status.stuck[1].shard == 8);
    CHECK(status.stuck[1].sequence == 1);
    CHECK(!status.error);

    // Tried after 1, 3, 7 and 15 s.
    for (int second = 0; second < 20; ++second) f.poll(*projector);
    CHECK(projector->status().front().stuck[0].attempts == 5);
    CHECK(projector->retain_after(7) == 29);
    CHECK(projector->retain_after(6) == 60);

    CHECK(projector->skip("tally", 7, 29)->code == Code::not_found);
    CHECK(!projector->skip("tally", 7, 30));
    f.executor.run();
    status = projector->status().front();
    CHECK(status.stuck.size() == 1);
    CHECK(status.lag_records == 60);
    tally.hook = nullptr;
    f.poll(*projector, 60'000);
    status = projector->status().front();
    CHECK(status.stuck.empty());
    CHECK(status.lag_records == 0);
    auto expected = f.expected();
    --expected["e" + std::to_string((7 + 30) % 7)];
    CHECK(tally.rows() == expected);
  });
}

TEST_CASE("the log may be truncated up to what every projection has safely, and no further") {
  Fixture f;
  test::RocksTally one(f.environment), two(f.environment);
  one.name_ = "one";
  one.reopen();
  two.name_ = "two";
  two.reopen();
  f.append(1, 100);
  auto projector = f.projector({&one, &two});
  CHECK(projector->retain_after(1) == 0);
  f.executor.run();
  CHECK(projector->retain_after(1) == 0);  // not yet synced
  f.poll(*projector);
  CHECK(projector->retain_after(1) == 100);
  CHECK(!projector->pause("two"));
  f.append(1, 50);
  projector->notify(1);
  f.poll(*projector);
  CHECK(projector->retain_after(1) == 100);
  CHECK(f.projector({})->retain_after(1) == ~0ULL);

  REQUIRE(!f.journal->truncate(1, projector->retain_after(1), {}));
  CHECK(!projector->resume("two"));
  f.executor.run();
  CHECK(projector->status()[1].missed == 0);
  CHECK(one.rows() == two.rows());

  // Truncated under a projection all the same, or before a rebuild: said, not hidden.
  CHECK(!projector->rebuild("one"));
  f.executor.run();
  const auto status = projector->status().front();
  CHECK(status.missed == 100);
  CHECK(status.lag_records == 0);
  CHECK(status.total == 50);
  CHECK(one.rows() == f.expected());
}

TEST_CASE("a sink that cannot be used stops its projection, says why, and is tried again") {
  Fixture f;
  test::RocksTally good(f.environment);
  test::SqliteTally bad;
  bad.name_ = "bad";
  std::filesystem::remove_all(std::filesystem::path(bad.path()).parent_path());
  f.append(1, 10);
  auto projector = f.projector({&bad, &good});
  f.executor.run();
  CHECK(good.rows() == f.expected());
  auto status = projector->status().front();
  CHECK(status.state == "failing");
  REQUIRE(status.error);
  CHECK(status.error->type == "read-only");
  std::filesystem::create_directories(std::filesystem::path(bad.path()).parent_path());
  f.poll(*projector);
  f.executor.run();
  status = projector->status().front();
  CHECK(status.state == "running");
  CHECK(bad.rows() == f.expected());
}

TEST_CASE("a projection that is ahead of a log restored from a backup says so until it is rebuilt") {
  Fixture f;
  test::RocksTally tally(f.environment);
  f.append(1, 10);
  {
    auto projector = f.projector({&tally});
    f.executor.run();
  }
  tally.reopen();
  Fixture restored;
  restored.append(1, 4);
  restored.append(2, 1);
  auto projector = restored.projector({&tally});
  restored.executor.run();
  const auto status = projector->status().front();
  REQUIRE(status.stuck.size() == 1);
  CHECK(status.stuck[0].error.type == "projection-ahead");
  CHECK(!projector->rebuild("tally"));
  restored.executor.run();
  CHECK(projector->status().front().stuck.empty());
  CHECK(tally.rows() == restored.expected());
}

TEST_CASE("projections on several threads keep up with a writer and end in the middle of work") {
  Fixture f;
  test::RocksTally one(f.environment);
  test::SqliteTally two;
  two.name_ = "two";
  ThreadPool pool(2);
  {
    Projector projector(*f.journal, pool, f.environment.clock(), {.batch = 50});
    projector.add(one);
    projector.add(two);
    for (int i = 0; i < 2'000; ++i) {
      const auto shard = static_cast<std::uint32_t>(i * 37 % kShards);
      f.append(shard, 1, false);
      projector.notify(shard);
      if (i % 100 == 0) projector.poll();
    }
    const auto lagging = [&] {
      for (const auto& status : projector.status())
        if (status.projected < 2'000) return true;
      return false;
    };
    while (lagging()) std::this_thread::yield();
    CHECK(one.rows() == f.expected());
    CHECK(two.rows() == f.expected());
    CHECK(!projector.rebuild("two"));
  }
  two.reopen();
  two.name_ = "again";
  auto projector = f.projector({&two});
  f.executor.run();
  CHECK(two.rows() == f.expected());
}

TEST_CASE("a shard that is another node's is left alone, its log is kept, and it goes on where it was") {
  with_each_home([](Fixture& f, test::Tally& tally) {
    bool away = false;
    tally.elsewhere = [&](std::uint32_t shard) { return away && shard == 3; };
    for (const std::uint32_t shard : {3U, 4U}) f.append(shard, 10);
    auto projector = f.projector({&tally});
    for (int polls = 0; polls < 2; ++polls) f.poll(*projector);  // the second syncs
    CHECK(tally.projected == 20);
    CHECK(projector->retain_after(3) == 10);

    away = true;
    f.poll(*projector);
    for (const std::uint32_t shard : {3U, 4U}) f.append(shard, 5);
    for (const std::uint32_t shard : {3U, 4U}) projector->notify(shard);
    for (int polls = 0; polls < 2; ++polls) f.poll(*projector);
    CHECK(tally.projected == 25);
    CHECK(projector->status().front().lag_records == 0);
    CHECK(projector->retain_after(3) == 0);  // whoever has it knows
    CHECK(projector->retain_after(4) == 15);

    away = false;
    f.poll(*projector);
    CHECK(tally.projected == 30);
    CHECK(tally.rows() == f.expected());
    f.poll(*projector);
    CHECK(projector->retain_after(3) == 15);
    CHECK(projector->status().front().total == 30);
  });
}

TEST_CASE("what stands in the way of a shard goes with it, and a node that begins without shards gets them") {
  with_each_home([](Fixture& f, test::Tally& tally) {
    bool away = true;
    tally.elsewhere = [&](std::uint32_t) { return away; };
    tally.hook = [](const v1::JournalRecord& record) -> std::optional<Error> {
      if (record.shard() == 3) return kRefused;
      return std::nullopt;
    };
    for (const std::uint32_t shard : {3U, 4U}) f.append(shard, 10);
    auto projector = f.projector({&tally});
    f.poll(*projector);
    CHECK(tally.projected == 0);
    CHECK(projector->status().front().total == 0);
    away = false;
    f.poll(*projector);
    CHECK(tally.rows().size() > 0);
    CHECK(projector->status().front().stuck.size() == 1);
    away = true;
    f.poll(*projector);
    CHECK(projector->status().front().stuck.empty());
    CHECK(projector->status().front().lag_records == 0);
    away = false;
    tally.hook = nullptr;
    f.poll(*projector);
    CHECK(tally.rows() == f.expected());
  });
}

}  // namespace cx
