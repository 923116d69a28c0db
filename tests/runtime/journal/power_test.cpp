// Loss of power, and disks that fail: nothing that was acknowledged is lost.

#include <doctest/doctest.h>
#include <thread>

#include "runtime/random.hpp"
#include "tests/runtime/journal/homes.hpp"

namespace cx::test {
namespace {

using Operation = FaultFiles::Operation;
using Failure = FaultFiles::Failure;

std::string record_of(std::uint32_t shard, std::uint64_t sequence) {
  return std::to_string(shard) + "." + std::to_string(sequence) + std::string(sequence % 997, 'r');
}

/// Appends at random and keeps book of what was acknowledged as durable.
class Writer {
 public:
  /// `bulk`: bytes that each append carries in addition, so that memory is flushed to tables now and then.
  Writer(RocksHome& home, std::uint64_t seed, std::size_t bulk = 0)
      : home_(home), random_(seed), bulk_(bulk, 'b') {
    open();
  }

  /// Opens every shard. False when the journal could not.
  bool try_open() {
    std::vector<std::uint32_t> shards;
    for (std::uint32_t shard = 0; shard < kShardsUsed; ++shard) shards.push_back(shard);
    const auto results = home_.journal().open(shards, std::nullopt);
    for (std::uint32_t shard = 0; shard < kShardsUsed; ++shard) {
      if (!results[shard]) return false;
      heads_[shard] = *results[shard];
    }
    return true;
  }
  void open() { REQUIRE(try_open()); }

  /// One group; the error of its first append.
  std::string append(bool sync) {
    std::vector<Append> group;
    std::array<std::uint64_t, kShardsUsed> last;
    for (std::uint32_t shard = 0; shard < kShardsUsed; ++shard) last[shard] = heads_[shard].last;
    for (std::uint32_t n = 1 + random_.below(4); n > 0; --n) {
      const std::uint32_t shard = random_.below(kShardsUsed);
      Append append{shard, heads_[shard].epoch, last[shard], {}, {}};
      for (std::uint32_t r = 1 + random_.below(3); r > 0; --r)
        append.records.push_back(record_of(shard, ++last[shard]));
      append.writes.push_back({Table::snapshots, "last", std::to_string(last[shard])});
      if (!bulk_.empty()) append.writes.push_back({Table::bases, "bulk", bulk_});
      group.push_back(std::move(append));
    }
    const auto results = home_.journal().append(group, sync);
    for (const auto& result : results) REQUIRE(type_of(result) == type_of(results[0]));  // nobody else writes
    if (results[0]) return results[0]->type;
    for (std::uint32_t shard = 0; shard < kShardsUsed; ++shard) heads_[shard].last = last[shard];
    if (sync) durable_ = last;
    return "";
  }
  void synced() {
    for (std::uint32_t shard = 0; shard < kShardsUsed; ++shard) durable_[shard] = heads_[shard].last;
  }

  /// What is wrong with what the journal holds: lost records, gaps, rows that do not fit the log.
  std::string mistake() const {
    for (std::uint32_t shard = 0; shard < kShardsUsed; ++shard) {
      const auto records = records_of(home_.journal(), shard);
      const std::string where = "shard " + std::to_string(shard);
      if (records.size() < durable_[shard])
        return where + " has lost records: " + std::to_string(records.size()) + " of " +
               std::to_string(durable_[shard]);
      for (std::size_t i = 0; i < records.size(); ++i)
        if (records[i].first != i + 1 || records[i].second != record_of(shard, i + 1))
          return where + " has another record " + std::to_string(i + 1);
      const auto last = row_of(home_.journal(), Table::snapshots, shard, "last").value_or("0");
      if (last != std::to_string(records.size())) return where + " has a row as of " + last;
    }
    return "";
  }

 private:
  static constexpr std::uint32_t kShardsUsed = 8;
  RocksHome& home_;
  Random random_;
  const std::string bulk_;
  std::array<Head, kShardsUsed> heads_;
  std::array<std::uint64_t, kShardsUsed> durable_{};
};

void cycle_power(RocksHome& home, std::uint64_t seed = 0) {
  home.disk().lose_power();
  home.close();
  home.disk().restore_power(seed);
}

}  // namespace

TEST_CASE("what was acknowledged with sync survives any loss of power") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    MemoryHome home;
    Writer writer(home, seed);
    Random random(seed);
    for (int round = 0; round < 4; ++round) {
      for (std::uint32_t n = random.below(40); n > 0; --n) CHECK(writer.append(random.below(3) == 0) == "");
      if (random.below(3) == 0) {
        CHECK_FALSE(home.journal().sync());
        writer.synced();
      }
      cycle_power(home, random.below(2) == 0 ? 0 : random.next());
      home.reopen();
      REQUIRE(writer.mistake() == "");
      writer.open();
    }
  }
}

TEST_CASE("what was acknowledged survives a loss of power while memory is flushed and tables are compacted") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    MemoryHome home;
    Writer writer(home, seed, 1 << 20);
    Random random(seed);
    for (int round = 0; round < 2; ++round) {
      for (std::uint32_t n = 20 + random.below(100); n > 0; --n)
        CHECK(writer.append(random.below(10) == 0) == "");
      cycle_power(home, random.below(2) == 0 ? 0 : random.next());
      home.reopen();
      REQUIRE(writer.mistake() == "");
      writer.open();
    }
  }
}

TEST_CASE("without a sync, and only then, a loss of power loses records: whole groups, the newest") {
  MemoryHome home;
  Writer writer(home, 1);
  CHECK(writer.append(true) == "");
  for (int i = 0; i < 20; ++i) CHECK(writer.append(false) == "");
  cycle_power(home);
  home.reopen();
  CHECK(writer.mistake() == "");
  std::size_t kept = 0;
  for (std::uint32_t shard = 0; shard < 8; ++shard) kept += home.journal().head(shard)->last;
  CHECK(kept <= 12);  // of the first group
  CHECK(kept > 0);
}

TEST_CASE("a disk that lies about syncs is found out") {
  MemoryHome home;
  Writer writer(home, 1);
  home.disk().lie_about_syncs(true);
  for (int i = 0; i < 20; ++i) CHECK(writer.append(true) == "");
  cycle_power(home);
  home.reopen();
  CHECK(writer.mistake().find("has lost records") != std::string::npos);
}

TEST_CASE("power may go at any write or sync, of opening too") {
  for (const Operation operation : {Operation::write, Operation::sync, Operation::create}) {
    for (std::uint64_t skip = 0; skip < 60; skip += 5) {
      CAPTURE(skip);
      MemoryHome home;
      Writer writer(home, skip + 1);
      for (int i = 0; i < 5; ++i) CHECK(writer.append(true) == "");
      home.close();
      // From here on a machine whose disk goes away at some moment.
      home.disk().fail({.operation = operation, .skip = skip, .stays = true, .keep = skip * 7});
      if (!home.try_reopen() && writer.try_open())
        for (int i = 0; i < 60 && writer.append(true) == ""; ++i) continue;
      cycle_power(home, skip);
      home.reopen();
      REQUIRE(writer.mistake() == "");
    }
  }
}

TEST_CASE("truncation survives a loss of power, and compaction takes the records off the disk") {
  MemoryHome home;
  const std::string marker = "a record that should be forgotten";
  Head head = open_one(home.journal(), 1);
  CHECK(append_one(home.journal(), append_of(1, head, {marker, marker, "kept"}), false) == "");
  const Write base{Table::bases, "e", "base"};
  CHECK_FALSE(home.journal().truncate(1, 2, std::span(&base, 1)));
  const auto on_disk = [&] {
    for (const auto& name : names(home.disk(), home.path(), ".sst"))
      if (content(home.disk(), home.path() + "/" + name).find(marker) != std::string::npos) return true;
    return false;
  };
  cycle_power(home);
  home.reopen();
  CHECK(on_disk());
  // Enough to be written to some tables, which are then merged in the background.
  head = open_one(home.journal(), 1);
  for (; head.last < 250; ++head.last)
    CHECK(append_one(home.journal(), append_of(1, head, {std::string(1 << 20, 'b')}), false) == "");
  for (int i = 0; i < 10'000 && on_disk(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK_FALSE(on_disk());
  CHECK(home.journal().head(1)->first == 3);
  CHECK(records_of(home.journal(), 1).front() == std::pair<std::uint64_t, std::string>(3, "kept"));
  CHECK(row_of(home.journal(), Table::bases, 1, "e") == "base");
}

TEST_CASE("a failed write or sync is reported, and nothing is written until the shards are opened again") {
  struct Case {
    Operation operation;
    Failure failure;
    const char* type;
  };
  for (const auto& [operation, failure, type] : {Case{Operation::write, Failure::io_error, "storage-failed"},
                                                 Case{Operation::write, Failure::no_space, "disk-full"},
                                                 Case{Operation::write, Failure::read_only, "read-only"},
                                                 Case{Operation::sync, Failure::io_error, "storage-failed"},
                                                 Case{Operation::sync, Failure::no_space, "disk-full"}}) {
    for (const std::uint64_t keep : {0, 3, 7, 50}) {
      CAPTURE(type);
      CAPTURE(keep);
      MemoryHome home;
      Writer writer(home, 1);
      for (int i = 0; i < 5; ++i) CHECK(writer.append(true) == "");
      home.disk().fail(
          {.operation = operation, .failure = failure, .stays = true, .keep = keep, .suffix = ".log"});
      CHECK(writer.append(true) == type);
      home.disk().heal();
      CHECK(writer.append(true) == type);  // in doubt, though the disk has recovered
      CHECK(type_of(home.journal().sync()) == type);
      CHECK(type_of(home.journal().truncate(0, 1, {})) == type);
      writer.open();
      CHECK(writer.mistake() == "");
      for (int i = 0; i < 5; ++i) CHECK(writer.append(true) == "");
      CHECK(writer.mistake() == "");
      cycle_power(home);
      home.reopen();
      CHECK(writer.mistake() == "");
    }
  }
}

TEST_CASE("a full disk: reads go on, appends are refused until there is space") {
  MemoryHome home;
  Writer writer(home, 1);
  for (int i = 0; i < 5; ++i) CHECK(writer.append(true) == "");
  for (const Operation operation : {Operation::write, Operation::create})
    home.disk().fail({.operation = operation, .failure = Failure::no_space, .stays = true});
  CHECK(writer.append(true) == "disk-full");
  CHECK(writer.mistake() == "");
  const std::uint32_t shards[] = {0};
  const auto refused = home.journal().open(shards, std::nullopt);
  CHECK(type_of(refused[0]) == "disk-full");
  CHECK(refused[0].error().detail.find("Free some space") != std::string::npos);
  CHECK(refused[0].error().detail.find(home.path()) != std::string::npos);
  CHECK(writer.append(true) == "disk-full");
  home.disk().heal();
  writer.open();
  CHECK(writer.mistake() == "");
  CHECK(writer.append(true) == "");
}

TEST_CASE("a record of which a failed sync leaves everything in doubt is durable once it was found") {
  MemoryHome home;
  const Head head = open_one(home.journal(), 1);
  home.disk().fail({.operation = Operation::sync, .suffix = ".log"});
  CHECK(append_one(home.journal(), append_of(1, head, {"in doubt"})) == "storage-failed");
  const Head found =
      open_one(home.journal(), 1);  // rewrites what it finds: a second sync of that file proves nothing
  CHECK(found.last == 1);
  cycle_power(home);
  home.reopen();
  CHECK(records_of(home.journal(), 1) == Records{{1, "in doubt"}});
}

TEST_CASE("a directory that cannot be written is refused, with what to do") {
  for (const Operation operation : {Operation::create, Operation::write}) {
    FaultEnvironment environment;
    environment.disk().fail({.operation = operation, .failure = Failure::read_only, .stays = true});
    const auto journal = RocksJournal::open("/data", environment);
    REQUIRE_FALSE(journal);
    CHECK(journal.error().type == "read-only");
    CHECK(journal.error().detail.find("/data/journal cannot be written. Make the directory writable") == 0);
  }
  const TempDirectory directory;
  std::FILE* file = std::fopen((directory.location + "/data").c_str(), "w");
  REQUIRE(file != nullptr);
  std::fclose(file);
  const auto journal = RocksJournal::open(directory.location + "/data", system_environment());
  REQUIRE_FALSE(journal);
  CHECK(journal.error().type == "storage-failed");
  CHECK(journal.error().detail.find(directory.location + "/data") != std::string::npos);
}

TEST_CASE("a directory has one owner") {
  MemoryHome memory;
  DiskHome disk;
  auto second = RocksJournal::open(memory.directory(), memory.environment());
  CHECK(type_of(second) == "data-directory-in-use");
  second = RocksJournal::open(disk.directory(), system_environment());
  CHECK(type_of(second) == "data-directory-in-use");
  CHECK(second.error().detail.find("Another process has " + disk.path() + " open. Stop it") == 0);
  // Another process is told the same by another error of the operating system.
  const auto elsewhere = rocks_error(
      rocksdb::Status::IOError("While lock file: /d/LOCK", "Resource temporarily unavailable"), "/d");
  CHECK(elsewhere.type == "data-directory-in-use");
  disk.close();
  CHECK(type_of(RocksJournal::open(disk.directory(), system_environment())) == "");
}

TEST_CASE("readers and writers go on beside a slow sync, and beside opening again after a failure") {
  MemoryHome home;
  Head head = open_one(home.journal(), 1);
  CHECK(append_one(home.journal(), append_of(1, head, {"a"})) == "");
  std::atomic<bool> syncing = false, finish = false;
  home.disk().on_sync([&](const std::string&) {
    syncing = true;
    while (!finish) std::this_thread::yield();
  });
  head.last = 1;
  {
    const std::jthread writer([&] { CHECK(append_one(home.journal(), append_of(1, head, {"b"})) == ""); });
    while (!syncing) std::this_thread::yield();
    CHECK(records_of(home.journal(), 1).size() == 1);  // not before it is durable
    CHECK(home.journal().head(1)->last == 1);
    finish = true;
  }
  home.disk().on_sync(nullptr);
  std::atomic<bool> stop = false;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      while (!stop) CHECK(records_of(home.journal(), 1).size() >= 2);
    });
  for (int i = 0; i < 5; ++i) {
    home.disk().fail({.operation = Operation::sync, .suffix = ".log"});
    head = *home.journal().head(1);
    CHECK(append_one(home.journal(), append_of(1, head, {"c"})) == "storage-failed");
    open_one(home.journal(), 1);
  }
  stop = true;
}

}  // namespace cx::test
