#include <doctest/doctest.h>

#include "tests/runtime/entity/harness.hpp"

// Passivation, snapshots and recovery: what is in memory, and that nobody can tell.

namespace cx::test {
namespace {

struct Fixture : World {
  Fixture() { REQUIRE_FALSE(start()); }
  /// Restarts with other options.
  void with(const std::function<void(HostOptions&)>& change) {
    change(options_.host);
    restart();
  }
  std::string counter(unsigned n) const { return entity("counter", n); }
  std::uint64_t dirty() const {
    std::uint64_t sum = 0;
    for (const auto shard : options_.shards) sum += status(shard).dirty;
    return sum;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "who is idle goes to sleep, and wakes up as it was") {
  with([](auto& host) { host.idle_ms = 2'000; });
  for (unsigned n = 0; n < 20; ++n) add(counter(n), n);
  total(counter(20));
  CHECK(resident() == 21);
  for (int i = 0; i < 6; ++i) {
    advance(500);
    total(counter(7));
  }
  CHECK(resident() == 1);
  CHECK(probe("counter").live.value() == 1);
  for (unsigned n = 0; n < 20; ++n) CHECK(total(counter(n)) == n);
  advance(5'000);
  CHECK(resident() == 0);
  CHECK(dirty() == 0);
  CHECK(rows(Table::snapshots) == 19 + 1);  // the last was only asked, the first changed by nothing but 0
}

TEST_CASE_FIXTURE(Fixture, "no more stay in memory than are to, and no fewer without need") {
  with([](auto& host) { host.max_resident = 100; });
  bool changes = false;
  SUBCASE("who has changed") {
    changes = true;
  }
  SUBCASE("who was asked") {}
  for (unsigned n = 0; n < 150; ++n) changes ? add(counter(n), n) : total(counter(n));
  advance(1'000);
  CHECK(resident() <= 100);
  CHECK(resident() >= 90);
  for (unsigned n = 0; n < 150; ++n) CHECK(total(counter(n)) == (changes ? n : 0));
  advance(1'000);
  CHECK(resident() <= 100);
}

TEST_CASE_FIXTURE(Fixture, "a burst over the limit leaves again without taking the others along") {
  with([](auto& host) { host.max_resident = 100; });
  for (unsigned n = 0; n < 100; ++n) send(counter(n), make_add(n));
  run();
  for (unsigned n = 100; n < 120; ++n) send(counter(n), make_add(n));
  run();
  advance(1'000);
  CHECK(resident() <= 100);
  CHECK(resident() >= 90);
}

TEST_CASE_FIXTURE(Fixture, "memory is bounded in bytes, too") {
  with([](auto& host) { host.max_bytes = 20'000; });
  for (unsigned n = 0; n < 200; ++n) {
    add(counter(n), n);
    advance(20);
  }
  advance(1'000);
  CHECK(resident() > 5);
  CHECK(resident() < 150);
  for (unsigned n = 0; n < 200; ++n) CHECK(total(counter(n)) == n);
}

TEST_CASE_FIXTURE(Fixture, "more at once than there is room for are refused, and nothing was done") {
  with([](auto& host) { host.max_resident = 8; });
  hold_work(true);
  std::vector<Reply> replies;
  for (unsigned n = 0; n < 3'000; ++n) replies.push_back(send(counter(n), make_add(1)));
  hold_work(false);
  run();
  unsigned done = 0;
  for (unsigned n = 0; n < 3'000; ++n) {
    REQUIRE(*replies[n]);
    if (**replies[n])
      ++done;
    else
      CHECK((**replies[n]).error().code == Code::overloaded);
  }
  CHECK(done >= 8);
  CHECK(done < 3'000);
  advance(2'000);
  CHECK(resident() <= 8);
  for (unsigned n = 0; n < 3'000; ++n) {
    CAPTURE(n);
    const auto answer = ask(counter(n), GetTotal());
    REQUIRE(total_of(answer) == (**replies[n] ? 1 : 0));
  }
}

TEST_CASE_FIXTURE(Fixture, "commands that come while an entity leaves are not lost") {
  with([](auto& host) { host.max_resident = 1; });
  std::vector<Reply> replies;
  for (unsigned i = 0; i < 200; ++i) {
    for (unsigned n = 0; n < 8; ++n) replies.push_back(send(counter(n), make_add(1)));
    for (unsigned n = 0; n < i % 5; ++n) step();
    if (i % 7 == 0) tick();
  }
  run();
  for (const auto& reply : replies) REQUIRE(total_of(**reply) > 0);
  for (unsigned n = 0; n < 8; ++n) CHECK(total(counter(n)) == 200);
}

TEST_CASE_FIXTURE(Fixture, "commands of one entity are handled in the order in which they came") {
  std::vector<Reply> replies;
  for (int i = 1; i <= 50; ++i) replies.push_back(send(counter(0), make_add(1)));
  run();
  for (int i = 1; i <= 50; ++i) CHECK(total_of(**replies[static_cast<std::size_t>(i - 1)]) == i);
}

TEST_CASE_FIXTURE(Fixture, "an entity that keeps changing is snapshotted, and the checkpoint follows") {
  with([](auto& host) { host.snapshot_ms = 3'000; });
  for (int i = 0; i < 100; ++i) {
    add(counter(0), 1);
    advance(100);
  }
  const auto now_at = status(shard_at(0));
  REQUIRE(stored_snapshot(counter(0)));
  CHECK(now_at.last == 100);
  CHECK(now_at.last - now_at.checkpoint <= 36);  // 3 s, and half a second until somebody looks
  const auto changes = status(shard_at(0)).dirty;
  CHECK(changes == 1);
  restart();
  CHECK(status(shard_at(0)).checkpoint == now_at.checkpoint);
  CHECK(status(shard_at(0)).dirty == 1);
  CHECK(total(counter(0)) == 100);
}

TEST_CASE_FIXTURE(Fixture, "the checkpoint moves on although nobody asks for who has changed") {
  for (unsigned n = 0; n < 300; ++n) add(counter(n), 1);
  restart();
  CHECK(resident() == 0);
  CHECK(dirty() == 300);
  advance(3'000);
  CHECK(dirty() == 0);
  for (const auto shard : options_.shards) CHECK(status(shard).checkpoint == status(shard).last);
  restart();
  CHECK(dirty() == 0);
}

TEST_CASE_FIXTURE(Fixture, "an entity is its snapshot and the records since, wherever the one ends") {
  with([](auto& host) { host.snapshot_ms = 1'000; });
  for (int i = 1; i <= 30; ++i) {
    add(counter(0), i);
    add(counter(4), 1);
    tell(entity("account", 0), make_deposit(i));
    advance(i * 37 % 200);
    if (i % 3 != 0) continue;
    restart();
    CHECK(total(counter(0)) == i * (i + 1) / 2);
    CHECK(balance(entity("account", 0)) == i * (i + 1) / 2);
    if (i % 2 == 0) CHECK(total(counter(4)) == i);
  }
}

TEST_CASE_FIXTURE(Fixture, "a shard that was opened by somebody else is lost to us") {
  add(counter(0), 1);
  const auto shard = shard_at(0);
  REQUIRE(journal().open({&shard, 1}, std::nullopt)[0]);
  const auto answer = ask(counter(0), make_add(1));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == Code::unavailable);
  CHECK(status(shard).state == "lost");
  CHECK_FALSE(status(shard).error.empty());
  advance(5'000);
  CHECK(status(shard).state == "lost");
  CHECK(ask(counter(0), GetTotal()).error().code == Code::unavailable);
  CHECK(add(counter(1), 1) == 1);
  CHECK(records(shard).size() == 1);
}

}  // namespace cx::test
