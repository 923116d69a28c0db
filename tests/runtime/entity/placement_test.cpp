#include <doctest/doctest.h>

#include "tests/runtime/entity/harness.hpp"

// Shards that come and go: two hosts over one journal.

namespace cx::test {
namespace {

const Kinds& kinds_and_till() {
  static const Kinds kinds = [] {
    auto all = all_kinds();
    all.add_endpoint("till", {&Credit::default_instance()});
    return all;
  }();
  return kinds;
}

struct Fixture : World {
  Fixture()
      : World([] {
          WorldOptions options;
          options.hosts = 2;
          options.clustered = true;
          options.kinds = &kinds_and_till();
          return options;
        }()) {
    on_lost = [this](unsigned host, ShardEpoch which) { lost.emplace_back(host, which); };
    REQUIRE_FALSE(start());
  }
  void moved(std::uint32_t which, unsigned to) {
    move(which, to);
    run();
    REQUIRE(here(to, which));
  }
  std::vector<std::pair<unsigned, ShardEpoch>> lost;
  const std::uint32_t shard = shard_at(0);  // of host 0
  const std::string counter = entity("counter", 0), account = entity("account", 0),
                    alarm = entity("alarm", 0);
};

bool done(const World::Reply& reply) {
  return *reply && **reply;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a shard that is handed over goes on as if nothing had been") {
  CHECK(status(shard, 0).state == "open");
  CHECK(status(shard, 1).state == "elsewhere");
  for (unsigned n = 0; n < 20; ++n) add(entity("counter", n * 4), n + 1);
  tell(counter, make_relaxed(100));
  moved(shard, 1);
  CHECK(status(shard, 0).state == "elsewhere");
  CHECK(status(shard, 0).resident == 0);
  CHECK(status(shard, 1).epoch == 2);
  // All of it has a snapshot, so there is nothing to replay.
  CHECK(status(shard, 1).checkpoint == status(shard, 1).last);
  CHECK(status(shard, 1).dirty == 0);
  CHECK(total(counter) == 101);
  for (unsigned n = 1; n < 20; ++n) CHECK(total(entity("counter", n * 4)) == n + 1);
  CHECK(add(counter, 1) == 102);
  CHECK(records(shard).back().epoch() == 2);
  moved(shard, 0);
  CHECK(add(counter, 1) == 103);
  CHECK(lost.empty());
}

TEST_CASE_FIXTURE(Fixture, "whatever is asked during a handover is answered, once") {
  add(counter, 1);
  add(entity("counter", 4), 1);
  std::vector<Reply> replies;
  SUBCASE("while it is being written") {
    hold_commits(true);
    replies.push_back(send(counter, make_add(1), {.source = "c", .sequence = 1}));
    replies.push_back(send(counter, GetTotal()));
    replies.push_back(send(counter, make_relaxed(1)));
    run();
    bool released = false;
    release(shard, [&] { released = true; });
    run();
    CHECK_FALSE(released);
    CHECK(status(shard, 0).state == "moving");
    CHECK_FALSE(done(replies[0]));
    replies.push_back(send(counter, make_add(1)));
    run();
    CHECK(elsewhere() == 1);
    hold_commits(false);
    run();
    CHECK(released);
    CHECK(done(replies[0]));
    CHECK(elsewhere() == 1);
    seize(shard, 1);
    run();
  }
  SUBCASE("while the entity is being read") {
    moved(shard, 1);
    moved(shard, 0);
    hold_work(true);
    for (int i = 0; i < 3; ++i) replies.push_back(send(counter, make_add(1)));
    move(shard, 1);
    hold_work(false);
    run();
  }
  SUBCASE("while nobody has it") {
    release(shard, [] {});
    run();
    CHECK_FALSE(here(0, shard));
    for (int i = 0; i < 3; ++i) replies.push_back(send(counter, make_add(1)));
    run();
    CHECK(elsewhere() == 3);
    seize(shard, 1);
    run();
  }
  SUBCASE("while the next one opens it") {
    hold_work(true);
    move(shard, 1);
    run();
    CHECK(status(shard, 1).state == "opening");
    for (int i = 0; i < 3; ++i) replies.push_back(send(counter, make_add(1)));
    run();
    CHECK(elsewhere() == 3);
    hold_work(false);
    run();
  }
  SUBCASE("while it is recovering") {
    environment.disk().fail(
        {FaultFiles::Operation::write, FaultFiles::Failure::io_error, 0, false, 0, ".log"});
    CHECK(ask(counter, make_add(50)).error().code == Code::unavailable);
    CHECK(status(shard, 0).state == "recovering");
    CHECK_FALSE(here(0, shard));
    for (int i = 0; i < 3; ++i) replies.push_back(send(counter, make_add(1)));
    advance(2'000);
    CHECK(status(shard, 0).epoch == 1);
  }
  for (const auto& reply : replies) CHECK(done(reply));
  CHECK(total(counter) == 4);
  CHECK(total(entity("counter", 4)) == 1);
  CHECK(elsewhere() == 0);
}

TEST_CASE_FIXTURE(Fixture, "what is for here only is not passed on") {
  const auto refused = [&] {
    const auto answer = ask(counter, make_add(1), {.here_only = true});
    return !answer && answer.error().type == "not-here" && answer.error().code == Code::unavailable;
  };
  CHECK_FALSE(refused());
  hold_commits(true);
  send(counter, make_add(1));
  release(shard, [] {});
  CHECK(refused());  // moving
  CHECK(inspect(counter).error().type == "not-here");
  hold_commits(false);
  run();
  CHECK(refused());  // elsewhere
  CHECK(inspect(counter).error().type == "not-here");
  v1::DeadLetter letter;
  letter.set_id(std::to_string(shard) + "-1-0");
  CHECK(resolve(letter, true)->type == "not-here");
  hold_work(true);
  seize(shard, 1);
  CHECK(refused());  // opening
  hold_work(false);
  run();
  CHECK_FALSE(refused());
  CHECK(total(counter) == 3);
}

TEST_CASE_FIXTURE(Fixture,
                  "who has lost a shard and does not know commits nothing and acknowledges nothing") {
  add(counter, 1);
  hold_commits(true);
  const auto before = send(counter, make_add(10), {.source = "c", .sequence = 1});
  run();
  seize(shard, 1);
  SUBCASE("what was on its way comes too late") {
    run();
    CHECK(here(1, shard));
    hold_commits(false);
    run();
    REQUIRE(*before);
    CHECK((**before).error().code == Code::unavailable);
    CHECK((**before).error().detail.find("unknown") != std::string::npos);
  }
  SUBCASE("what was on its way comes before") {
    hold_work(true);
    hold_commits(false);
    run();
    CHECK(done(before));
    hold_work(false);
    run();
    misroute = [&](const Request&) { return std::optional(here(0, shard) ? 0U : 1U); };
    const auto late = send(counter, make_add(100));
    run();
    CHECK_FALSE(**late);
    misroute = nullptr;
  }
  CHECK(status(shard, 0).state == "elsewhere");
  CHECK_FALSE(status(shard, 0).error.empty());
  REQUIRE(lost.size() == 1);
  CHECK(lost[0] == std::pair(0U, ShardEpoch{shard, 2}));
  CHECK(total_of(ask(counter, make_add(10), {.source = "c", .sequence = 1})) == 11);
  CHECK(total(counter) == 11);
  advance(20'000);
  CHECK(status(shard, 0).state == "elsewhere");
}

TEST_CASE_FIXTURE(Fixture, "a reminder rings once, whoever has its shard when it is due") {
  tell(alarm, make_alarm("a", now() + 1'000));
  tell(alarm, make_alarm("b", now() + 5'000));
  SUBCASE("nobody") {
    release(shard, [] {});
    advance(2'000);
    CHECK(rows(Table::reminders) == 2);
    seize(shard, 1);
  }
  SUBCASE("the next one") {
    moved(shard, 1);
  }
  SUBCASE("two") {
    seize(shard, 1);
    run();
  }
  SUBCASE("one that goes while it fires") {
    environment.set_clock().advance(1'000);
    hold_work(true);
    tick();
    run();
    move(shard, 1);
    hold_work(false);
    run();
  }
  advance(10'000);
  CHECK(rings(alarm) == 2);
  CHECK(rows(Table::reminders) == 0);
  CHECK(dead_letters().empty());
}

TEST_CASE_FIXTURE(Fixture, "messages take effect once, whoever has the shard that sends them") {
  tell(account, make_deposit(100));
  const auto other = entity("account", 1), near = entity("account", 4);
  std::map<std::string, int> paid;
  bool open = false;
  endpoint = [&](const Letter& letter, const Respond& respond) {
    if (!open) return respond(Error{Code::unavailable, "closed", "The till is closed.", ""});
    ++paid[letter.id];
    respond(MessagePtr());
  };
  SUBCASE("written, and not yet sent") {
    environment.network({.lose = 1, .twice = 0, .delay = 0});
    tell(account, make_transfer(other, 1));
    tell(account, make_transfer("till/t/1", 2));
    moved(shard, 1);
  }
  SUBCASE("on their way") {
    environment.network({.lose = 0, .twice = 1, .delay = 1});
    tell(account, make_transfer(other, 1));
    tell(account, make_transfer("till/t/1", 2));
    moved(shard, 1);
    environment.release();
  }
  SUBCASE("sent by two who both have it") {
    environment.network({.lose = 1, .twice = 0, .delay = 0});
    tell(account, make_transfer(other, 1));
    tell(account, make_transfer("till/t/1", 2));
    seize(shard, 1);
    run();
    CHECK(here(0, shard));
  }
  SUBCASE("not yet written") {
    hold_commits(true);
    send(account, make_transfer(other, 1));
    send(account, make_transfer("till/t/1", 2));
    run();
    move(shard, 1);
    run();
    hold_commits(false);
    run();
    CHECK(rows(Table::outbox) > 0);
  }
  CHECK(total_of(ask(counter, make_add(1))) == 1);
  tell(account, make_transfer(near, 3, {other, near}));
  environment.network({});
  open = true;
  advance(120'000);
  CHECK(balance(account) == 94);
  CHECK(balance(other) == 1);
  CHECK(balance(near) == 3);
  CHECK(paid.size() == 1);
  CHECK(rows(Table::outbox) == 0);
  CHECK(dead_letters().empty());
}

TEST_CASE_FIXTURE(Fixture, "what is dropped is gone at once, and may come back in the same epoch") {
  add(counter, 1);
  hold_commits(true);
  const auto written = send(counter, make_add(10), {.source = "c", .sequence = 1});
  run();
  const auto filling = send(counter, make_add(100), {.source = "c", .sequence = 2});
  hold_work(true);
  const auto loading = send(entity("counter", 4), make_add(7));
  drop(shard);
  CHECK(status(shard, 0).state == "elsewhere");
  for (const auto& reply : {written, filling}) {
    REQUIRE(*reply);
    CHECK((**reply).error().code == Code::unavailable);
    CHECK((**reply).error().detail.find("unknown") != std::string::npos);
  }
  hold_work(false);
  run();
  CHECK_FALSE(*loading);  // nothing was done, and it waits
  take(shard);
  run();
  CHECK(status(shard, 0).state == "opening");  // what is being written must be there or not
  hold_commits(false);
  run();
  CHECK(status(shard, 0).state == "open");
  CHECK(status(shard, 0).epoch == 1);
  CHECK(done(loading));
  CHECK(total(counter) == 11);
  CHECK(total_of(ask(counter, make_add(10), {.source = "c", .sequence = 1})) == 11);
  CHECK(total_of(ask(counter, make_add(100), {.source = "c", .sequence = 2})) == 111);
  CHECK(lost.empty());
}

TEST_CASE_FIXTURE(Fixture, "a shard that cannot be written is given away all the same") {
  add(counter, 1);
  hold_commits(true);
  const auto reply = send(counter, make_add(10));
  bool released = false;
  release(shard, [&] { released = true; });
  environment.disk().fail({FaultFiles::Operation::write, FaultFiles::Failure::io_error, 0, false, 0, ".log"});
  hold_commits(false);
  run();
  CHECK(released);
  CHECK_FALSE(**reply);
  CHECK(status(shard, 0).state == "elsewhere");
  seize(shard, 1);
  advance(3'000);
  CHECK(total(counter) == 1);
}

TEST_CASE_FIXTURE(Fixture, "who cannot open a shard tries again, unless it is somebody else's") {
  SUBCASE("a disk that is full") {
    environment.disk().fail({FaultFiles::Operation::write, FaultFiles::Failure::no_space, 0, true, 0, ""});
    move(shard, 1);
    advance(3'000);
    CHECK(status(shard, 1).state == "opening");
    CHECK_FALSE(status(shard, 1).error.empty());
    environment.disk().heal();
    advance(2'000);
    CHECK(status(shard, 1).state == "open");
    CHECK(lost.empty());
  }
  SUBCASE("a newer epoch") {
    seize(shard, 0);
    seize(shard, 0);
    run();
    CHECK(status(shard, 0).epoch == 3);
    const std::vector<ShardEpoch> old{{shard, 2}};
    host(1).take(old);
    run();
    CHECK(status(shard, 1).state == "elsewhere");
    REQUIRE(lost.size() == 1);
    CHECK(lost[0] == std::pair(1U, ShardEpoch{shard, 3}));
  }
  CHECK(add(counter, 1) == 1);
}

TEST_CASE_FIXTURE(Fixture, "the last word counts") {
  add(counter, 1);
  const std::vector<std::uint32_t> one{shard};
  int released = 0;
  const auto count = [&](std::uint32_t) { ++released; };
  SUBCASE("given away twice") {
    hold_commits(true);
    send(counter, make_add(1));
    host(0).release(one, count);
    host(0).release(one, count);
    hold_commits(false);
    run();
    host(0).release(one, count);
    host(1).release(one, count);
    CHECK(released == 4);
    take(shard);
  }
  SUBCASE("given away, and then not") {
    hold_commits(true);
    send(counter, make_add(1));
    host(0).release(one, count);
    take(shard);
    CHECK(status(shard, 0).state == "moving");
    hold_commits(false);
    run();
    CHECK(released == 1);
    CHECK(status(shard, 0).state == "open");
  }
  SUBCASE("given, and then not, while it is being read") {
    drop(shard);
    hold_work(true);
    take(shard);
    run();
    host(0).release(one, count);
    CHECK(released == 1);
    hold_work(false);
    run();
    CHECK(status(shard, 0).state == "elsewhere");
    take(shard);
  }
  SUBCASE("given twice, and an older one") {
    take(shard);
    const std::vector<ShardEpoch> old{{shard, 0}};
    host(0).take(old);
    CHECK(status(shard, 0).state == "open");
  }
  SUBCASE("given in a newer epoch while it is open") {
    hold_commits(true);
    const auto reply = send(counter, make_add(1), {.source = "c", .sequence = 1});
    run();
    seize(shard, 0);
    hold_commits(false);
    run();
    CHECK_FALSE(**reply);
    CHECK(status(shard, 0).epoch == 2);
    CHECK(ask(counter, make_add(1), {.source = "c", .sequence = 1}));
  }
  run();
  CHECK(status(shard, 0).state == "open");
  CHECK(total(counter) >= 1);
  CHECK(total(counter) <= 2);
  CHECK(lost.empty());
}

TEST_CASE_FIXTURE(Fixture, "of a shard with much to snapshot, the next owner replays the rest") {
  std::vector<Reply> replies;
  for (unsigned n = 0; n < 900; ++n) {
    replies.push_back(send(entity("counter", n * 4), make_add(n + 1)));
    if (n % 50 == 0) run();
  }
  run();
  for (const auto& reply : replies) CHECK(done(reply));
  moved(shard, 1);
  CHECK(status(shard, 1).checkpoint > 0);
  CHECK(status(shard, 1).checkpoint < status(shard, 1).last);
  CHECK(status(shard, 1).dirty > 100);
  for (unsigned n = 0; n < 900; ++n) CHECK(total(entity("counter", n * 4)) == n + 1);
}

}  // namespace cx::test
