#include <doctest/doctest.h>

#include "tests/runtime/entity/harness.hpp"

// A disk that fails, and code that does: nobody is told what is not so.

namespace cx::test {
namespace {

struct Fixture : World {
  Fixture() { REQUIRE_FALSE(start()); }
  const std::string counter = entity("counter", 0);
};

/// Its apply throws for negative numbers.
struct Fragile : Counter {
  static constexpr std::string_view kName = "fragile";
  using Commands = std::tuple<Add, GetTotal>;
  static void apply(State& state, const Event& event) {
    Counter::apply(state, event);
    if (event.added() < 0) throw std::runtime_error("negative");
  }
};

/// Sets a reminder whose command breaks its shard.
struct Trap : Counter {
  static constexpr std::string_view kName = "trap";
  using Commands = std::tuple<Add, Take, GetTotal>;
  static Outcome<Event, NoReply> handle(const State&, const Add& add, const Context& context) {
    Outcome<Event, NoReply> out;
    out.remind("trap", context.now + add.n(), make_take(1));
    return out;
  }
  static Outcome<Event, NoReply> handle(const State&, const Take&, const Context&) {
    Outcome<Event, NoReply> out;
    out.events.emplace_back();
    return out;
  }
  static Total handle(const State& state, const GetTotal& get, const Context& context) {
    return Counter::handle(state, get, context);
  }
  static void apply(State&, const Event&) { throw std::runtime_error("trapped"); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a failed append is acknowledged to nobody, and the shard recovers") {
  add(counter, 1);
  add(entity("counter", 1), 1);
  FaultFiles::Fault fault{FaultFiles::Operation::write, FaultFiles::Failure::io_error, 0, false, 0, ".log"};
  bool in_doubt = false;
  std::string type;
  SUBCASE("nothing was written") {}
  SUBCASE("the disk is full") {
    fault.failure = FaultFiles::Failure::no_space;
  }
  SUBCASE("a part was written") {
    fault.keep = 20;
  }
  SUBCASE("it was not synced") {
    fault.operation = FaultFiles::Operation::sync;
    in_doubt = true;
  }
  environment.disk().fail(fault);
  const Envelope envelope{.source = "c", .sequence = 1};
  const auto first = send(counter, make_add(10), envelope);
  const auto second = send(counter, make_add(100));
  const auto query = send(counter, GetTotal());
  run();
  for (const auto& reply : {first, second, query}) {
    REQUIRE(*reply);
    REQUIRE_FALSE(**reply);
    CHECK((**reply).error().code == Code::unavailable);
  }
  CHECK((**first).error().detail.find("unknown") != std::string::npos);
  CHECK(status(shard_at(0)).state == "recovering");
  CHECK_FALSE(status(shard_at(0)).error.empty());

  advance(2'000);
  CHECK(status(shard_at(0)).state == "open");
  CHECK(status(shard_at(0)).epoch == 2);
  const auto after = total(counter);
  if (in_doubt)
    CHECK((after == 1 || after == 11 || after == 111));
  else
    CHECK(after == 1);
  CHECK(total_of(ask(counter, make_add(10), envelope)) == 11);
  CHECK(total(entity("counter", 1)) == 1);
  CHECK(add(entity("counter", 1), 1) == 2);
  const auto sequence = records(shard_at(0)).back().sequence();
  CHECK(sequence == records(shard_at(0)).size());
  lose_power();
  REQUIRE_FALSE(start());
  CHECK(total(entity("counter", 1)) == 2);
}

TEST_CASE_FIXTURE(Fixture, "while the disk is full commands are refused; later ones work") {
  add(counter, 1);
  environment.disk().fail({FaultFiles::Operation::write, FaultFiles::Failure::no_space, 0, true, 0, ""});
  CHECK_FALSE(ask(counter, make_add(1)));
  for (int i = 0; i < 5; ++i) {
    advance(1'000);
    const auto answer = ask(counter, make_add(1));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == Code::unavailable);
    CHECK(answer.error().detail.find("full") != std::string::npos);
  }
  environment.disk().heal();
  advance(2'000);
  CHECK(add(counter, 1) == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "a failure of one batch takes along what was built on it, and nothing of other shards") {
  total(counter);
  total(entity("counter", 1));
  hold_commits(true);
  const auto first = send(counter, make_add(1)), second = send(counter, make_add(1));
  const auto relaxed = send(counter, make_relaxed(1));
  const auto other = send(entity("counter", 1), make_add(1));
  environment.disk().fail({FaultFiles::Operation::write, FaultFiles::Failure::io_error, 0, false, 0, ".log"});
  hold_commits(false);
  run();
  CHECK_FALSE(**first);
  CHECK_FALSE(**second);
  CHECK_FALSE(**relaxed);
  advance(2'000);
  CHECK(total(counter) == 0);
  CHECK(add(entity("counter", 1), 1) == (**other ? 2 : 1));
}

TEST_CASE("an apply that throws is undone, and costs others of its shard an answer at most") {
  static const Kinds kinds = [] {
    auto all = all_kinds();
    all.add(make_kind(Fragile{}));
    return all;
  }();
  WorldOptions options;
  options.kinds = &kinds;
  World world(options);
  REQUIRE_FALSE(world.start());
  const auto fragile = world.entity("fragile", 0), other = world.entity("counter", 0);
  CHECK(world.add(fragile, 3) == 3);
  CHECK(world.add(other, 4) == 4);
  bool batch_under_way = false;
  SUBCASE("alone") {}
  SUBCASE("while a batch is being written") {
    batch_under_way = true;
  }
  World::Reply before;
  if (batch_under_way) {
    world.hold_commits(true);
    before = world.send(other, make_add(10), {.source = "c", .sequence = 1});
  }
  const auto answer = world.send(fragile, make_add(-1));
  world.hold_commits(false);
  world.run();
  REQUIRE(*answer);
  CHECK((**answer).error().type == "handler-failed");
  CHECK((**answer).error().detail.find("negative") != std::string::npos);
  world.advance(2'000);
  CHECK(world.total(fragile) == 3);
  CHECK(world.add(fragile, 1) == 4);
  if (batch_under_way) {
    REQUIRE(*before);
    CHECK(World::total_of(world.ask(other, make_add(10), {.source = "c", .sequence = 1})) == 14);
  }
  CHECK(world.total(other) == (batch_under_way ? 14 : 4));
}

TEST_CASE("a reminder that breaks its shard each time is a dead letter in the end") {
  static const Kinds kinds = [] {
    Kinds all;
    all.add(make_kind(Trap{}));
    all.add(make_kind(Counter{}));
    return all;
  }();
  WorldOptions options;
  options.kinds = &kinds;
  options.host.delivery_attempts = 4;
  World world(options);
  REQUIRE_FALSE(world.start());
  world.tell(world.entity("trap", 0), make_add(1'000));
  world.advance(60'000);
  CHECK(world.status(world.shard_at(0)).state == "open");
  REQUIRE(world.dead_letters().size() == 1);
  const auto dead = world.dead_letters()[0];
  CHECK(dead.detail().find("trapped") != std::string::npos);
  CHECK(dead.attempts() >= 4);
  CHECK(world.rows(Table::reminders) == 0);
  CHECK(world.add(world.entity("counter", 0), 1) == 1);
}

TEST_CASE_FIXTURE(Fixture, "an entity takes only so many commands at once; the others did nothing") {
  options_.host.entity_credit = 16;
  restart();
  bool awake = false;
  SUBCASE("while it wakes up") {}
  SUBCASE("while it is written") {
    awake = true;
  }
  if (awake) total(counter);
  hold_commits(true);
  hold_work(true);
  std::vector<Reply> replies;
  for (int i = 0; i < 100; ++i) replies.push_back(send(counter, make_add(1)));
  hold_work(false);
  run();
  hold_commits(false);
  run();
  int done = 0;
  for (const auto& reply : replies) {
    REQUIRE(*reply);
    if (**reply)
      ++done;
    else
      CHECK((**reply).error().code == Code::overloaded);
  }
  CHECK(done >= 16);
  CHECK(done <= 34);
  CHECK(total(counter) == done);
}

}  // namespace cx::test
