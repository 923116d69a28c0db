#include <doctest/doctest.h>

#include "tests/runtime/entity/harness.hpp"

// Messages between entities of one shard: committed with what sends them, once, and gone without a trace.

namespace cx::test {
namespace {

/// One of two that answer each other's Adds; the second does worse when it is told to.
struct Echo {
  static constexpr std::string_view kName = "echo";
  static constexpr std::uint32_t kSchema = 1;
  using State = CounterState;
  using Event = CounterEvent;
  using Commands = std::tuple<Add, AddRelaxed, Transfer, GetTotal>;
  enum class Mood { good, refuses, throws, breaks };
  inline static Mood mood = Mood::good;
  inline static unsigned asked = 0;

  static Result<Outcome<Event, NoReply>> handle(const State&, const Add& add, const Context& context) {
    if (context.self == second) {
      ++asked;
      if (mood == Mood::refuses) return Error{Code::invalid_argument, "unwanted", "Not from you.", ""};
      if (mood == Mood::throws) throw std::runtime_error("not today");
    }
    Outcome<Event, NoReply> out;
    out.events.emplace_back().set_added(1);
    if (add.n() > 1) out.send(context.self == first ? second : first, make_add(add.n() - 1));
    return out;
  }
  static Outcome<Event, NoReply> handle(const State&, const AddRelaxed& add, const Context&) {
    Outcome<Event, NoReply> out;
    out.events.emplace_back().set_added(add.n());
    return out;
  }
  /// `amount` messages to `to`.
  static Outcome<Event, NoReply> handle(const State&, const Transfer& transfer, const Context&) {
    Outcome<Event, NoReply> out;
    for (std::int64_t i = 0; i < transfer.amount(); ++i) out.send(transfer.to(), make_relaxed(1));
    out.events.emplace_back();
    return out;
  }
  static Total handle(const State& state, const GetTotal&, const Context&) {
    Total total;
    total.set_total(state.total());
    return total;
  }
  static void apply(State& state, const Event& event) {
    if (mood == Mood::breaks && event.added() == 1) throw std::runtime_error("out of order");
    state.set_total(state.total() + event.added());
  }

  inline static std::string first, second;
};

const Kinds& kinds_of_these() {
  static const Kinds kinds = [] {
    auto all = all_kinds();
    all.add(make_kind(Echo{}));
    return all;
  }();
  return kinds;
}

struct Fixture : World {
  Fixture() : World(options()) {
    Echo::mood = Echo::Mood::good;
    Echo::asked = 0;
    Echo::first = echo(0);
    Echo::second = echo(1);
    on_append = [this](const Append& append) {
      appends.push_back(append);
      for (const auto& write : append.writes)
        if (write.table == Table::outbox) ++(write.value ? rows_put : rows_erased);
    };
    REQUIRE_FALSE(start());
  }
  static WorldOptions options() {
    WorldOptions all;
    all.kinds = &kinds_of_these();
    return all;
  }
  /// The n-th of those in the first shard.
  std::string account(unsigned n) const { return entity("account", n * 4); }
  std::string echo(unsigned n) const { return entity("echo", n * 4); }
  void wake(unsigned accounts) {
    for (unsigned n = 0; n < accounts; ++n) balance(account(n));
  }
  std::vector<Append> appends;
  std::size_t rows_put = 0, rows_erased = 0;
};

const std::uint32_t kShard = 3;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a chain within a shard is one group, and the outbox never hears of it") {
  tell(account(0), make_deposit(100));
  wake(5);
  appends.clear();
  const auto reply =
      send(account(0), make_transfer(account(1), 10, {account(2), account(3), account(0), account(4)}));
  // Before anything else has happened.
  CHECK(status(kShard).uncommitted == 6);
  CHECK(status(kShard).outbox == 0);
  CHECK_FALSE(*reply);
  run();
  REQUIRE(*reply);
  CHECK(**reply);
  REQUIRE(appends.size() == 1);
  CHECK(appends[0].records.size() == 6);
  CHECK(rows_put + rows_erased == 0);
  CHECK(balance(account(0)) == 90);
  CHECK(balance(account(3)) == 0);
  CHECK(balance(account(4)) == 10);

  const auto log = records(kShard);
  for (std::size_t i = 2; i < log.size(); ++i) {
    CAPTURE(i);
    CHECK(log[i].letter() == log[i - 1].sequence() * 1024);
    CHECK_FALSE(log[i].has_id());
    CHECK(log[i].actor() == log[i - 1].entity());
  }
  // Nobody remembers having had them.
  for (unsigned n = 0; n < 5; ++n) CHECK(inspect(account(n))->seen_size() == 0);
  lose_power();
  REQUIRE_FALSE(start());
  CHECK(balance(account(4)) == 10);
}

TEST_CASE_FIXTURE(Fixture, "who is asleep gets it when awake; its row goes with what comes of it") {
  tell(account(0), make_deposit(100));
  restart();
  balance(account(0));
  appends.clear();
  hold_work(true);
  const auto reply = send(account(0), make_transfer(account(1), 10));
  run();
  CHECK(**reply);  // the sender does not wait for it
  CHECK(rows_put == 1);
  CHECK(rows(Table::outbox) == 1);
  CHECK(status(kShard).outbox == 1);
  hold_work(false);
  run();
  CHECK(status(kShard).outbox == 0);
  advance(20);  // nobody waits for this
  CHECK(rows_erased == 1);
  REQUIRE(appends.size() == 2);
  CHECK(appends[1].records.size() == 1);
  CHECK(std::ranges::count(appends[1].writes, Table::outbox, &Write::table) == 1);
  CHECK(balance(account(1)) == 10);
  CHECK(status(kShard).outbox == 0);
}

TEST_CASE_FIXTURE(Fixture, "who wakes up before the batch is on its way spares the outbox both rows") {
  tell(account(0), make_deposit(100));
  restart();
  balance(account(0));
  hold_commits(true);
  const auto first = send(account(0), make_deposit(1));  // keeps the next batch waiting
  const auto second = send(account(0), make_transfer(account(1), 10));
  CHECK(status(kShard).outbox == 1);
  run();
  CHECK(status(kShard).outbox == 0);
  hold_commits(false);
  run();
  CHECK(**second);
  CHECK(rows_put + rows_erased == 0);
  CHECK(balance(account(1)) == 10);
}

TEST_CASE("killed after any step, or without power, or with a failing disk, a chain arrives once") {
  enum class End { crash, power, disk };
  for (const bool awake : {true, false}) {
    for (const auto end : {End::crash, End::power, End::disk}) {
      bool arrived = false;
      for (unsigned steps = 0; steps < 60; ++steps) {
        CAPTURE(awake);
        CAPTURE(steps);
        CAPTURE(static_cast<int>(end));
        Fixture world;
        world.tell(world.account(0), make_deposit(100));
        if (awake) world.wake(4);
        if (!awake) world.restart();
        if (end == End::disk)
          world.environment.disk().fail(
              {FaultFiles::Operation::sync, FaultFiles::Failure::io_error, steps, false, 0, ".log"});
        const auto reply = world.send(
            world.account(0),
            make_transfer(world.account(1), 10, {world.account(2), world.account(1), world.account(3)}));
        if (end == End::disk) {
          world.run();
          world.environment.disk().heal();
        } else {
          unsigned done = 0;
          while (done < steps && world.step()) ++done;
          arrived = done < steps;
        }
        const bool acknowledged = *reply && **reply;
        if (end == End::power) world.lose_power();
        if (end == End::crash) world.crash();
        if (end != End::disk) REQUIRE_FALSE(world.start());
        world.advance(5'000);
        const auto sent = world.balance(world.account(0)) == 90;
        if (acknowledged) CHECK(sent);
        if (!sent) CHECK(world.balance(world.account(0)) == 100);
        CHECK(world.balance(world.account(3)) == (sent ? 10 : 0));
        CHECK(world.balance(world.account(1)) + world.balance(world.account(2)) == 0);
        CHECK(world.rows(Table::outbox) == 0);
        CHECK(world.dead_letters().empty());
        if (arrived || (end == End::disk && steps > 8)) break;
      }
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "two that answer each other for ever are not handed everything at once") {
  std::size_t credit = 100'000, least = 900, most = 1'001;
  SUBCASE("but so much that others have their turn") {}
  SUBCASE("but as much as they may have under way") {
    credit = 16;
    least = 16;
    most = 33;
  }
  options_.host.entity_credit = static_cast<std::uint32_t>(credit);
  restart();
  total(echo(0));
  total(echo(1));
  appends.clear();
  tell(echo(0), make_add(20'000));
  CHECK(total(echo(0)) == 10'000);
  CHECK(total(echo(1)) == 10'000);
  std::size_t largest = 0;
  for (const auto& append : appends) largest = std::max(largest, append.records.size());
  CHECK(largest >= least);
  CHECK(largest <= most);
  CHECK(rows(Table::outbox) == 0);
}

TEST_CASE_FIXTURE(Fixture, "while two answer each other for ever, others are answered, too") {
  options_.host.entity_credit = 100'000;
  restart();
  const auto counter = entity("counter", 0);
  for (const auto& address : {echo(0), echo(1), counter}) total(address);
  const auto started = send(echo(0), make_add(1'000'000));
  for (int turn = 0; turn < 20; ++turn) {
    const auto before = status(kShard).last;
    const auto reply = send(counter, make_add(1));
    for (int i = 0; i < 4 && !*reply; ++i) step();
    REQUIRE(*reply);
    CHECK(total_of(**reply) == turn + 1);
    CHECK(status(kShard).last - before <= 3'000);
  }
  CHECK(**started);
  crash();
}

TEST_CASE_FIXTURE(Fixture, "a receiver that refuses makes a dead letter in the group of its sender") {
  total(echo(0));
  total(echo(1));
  Echo::mood = Echo::Mood::refuses;
  appends.clear();
  tell(echo(0), make_add(3));
  REQUIRE(appends.size() == 1);
  CHECK(appends[0].records.size() == 1);
  CHECK(rows_put + rows_erased == 0);
  CHECK(Echo::asked == 1);
  REQUIRE(dead_letters().size() == 1);
  const auto dead = dead_letters()[0];
  CHECK(dead.id() == "3-1-0");
  CHECK(dead.from() == echo(0));
  CHECK(dead.message().to() == echo(1));
  CHECK(dead.reason() == "unwanted");
  CHECK(dead.attempts() == 1);
  CHECK(status(kShard).outbox == 0);
  Echo::mood = Echo::Mood::good;
  CHECK_FALSE(resolve(dead, true));
  advance(100);
  CHECK(total(echo(1)) == 1);
  CHECK(total(echo(0)) == 2);
  CHECK(dead_letters().empty());
}

TEST_CASE_FIXTURE(Fixture, "a receiver that fails is tried again, and no more in the end") {
  total(echo(0));
  total(echo(1));
  Echo::mood = Echo::Mood::throws;
  tell(echo(0), make_add(2));
  CHECK(rows(Table::outbox) == 1);
  bool restarted = false;
  SUBCASE("for good") {
    advance(120'000);
    CHECK(Echo::asked == 8);
    REQUIRE(dead_letters().size() == 1);
    CHECK(dead_letters()[0].reason() == "handler-failed");
    CHECK(dead_letters()[0].attempts() == 8);
    Echo::mood = Echo::Mood::good;
    CHECK_FALSE(resolve(dead_letters()[0], true));
    advance(1'000);
  }
  SUBCASE("for a while") {
    advance(1'000);
    CHECK(Echo::asked > 1);
  }
  SUBCASE("until somebody restarts the node") {
    restarted = true;
  }
  Echo::mood = Echo::Mood::good;
  if (restarted) restart();
  advance(60'000);
  CHECK(total(echo(1)) == 1);
  CHECK(dead_letters().empty());
  CHECK(rows(Table::outbox) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a receiver whose apply throws does not undo its sender again and again") {
  const auto counter = entity("counter", 0);
  tell(counter, make_add(7));
  total(echo(0));
  total(echo(1));
  Echo::mood = Echo::Mood::breaks;
  const auto broken = ask(echo(0), make_transfer(echo(1), 1));
  CHECK_FALSE(broken);  // taken along, once
  CHECK(broken.error().code == Code::unavailable);
  advance(2'000);
  CHECK(status(kShard).state == "open");
  tell(echo(0), make_transfer(echo(1), 1));  // committed before the other one can break
  advance(60'000);
  CHECK(status(kShard).state == "open");
  REQUIRE(dead_letters().size() == 1);
  CHECK(dead_letters()[0].reason() == "handler-failed");
  CHECK(dead_letters()[0].detail().find("out of order") != std::string::npos);
  CHECK(dead_letters()[0].attempts() == 8);
  CHECK(rows(Table::outbox) == 0);
  CHECK(total(counter) == 7);
  Echo::mood = Echo::Mood::good;
  CHECK_FALSE(resolve(dead_letters()[0], true));
  advance(1'000);
  CHECK(total(echo(1)) == 1);
}

TEST_CASE_FIXTURE(Fixture, "more messages than an entity takes at once are all handled") {
  options_.host.entity_credit = 16;
  options_.host.outbox_credit = 8;
  restart();
  bool awake = true;
  SUBCASE("awake") {}
  SUBCASE("asleep") {
    awake = false;
  }
  total(echo(0));
  if (awake) total(echo(1));
  appends.clear();
  tell(echo(0), make_transfer(echo(1), 1'000));
  advance(30'000);
  CHECK(total(echo(1)) == 1'000);
  CHECK(rows(Table::outbox) == 0);
  CHECK(dead_letters().empty());
  for (const auto& append : appends) CHECK(append.records.size() <= 17);
}

TEST_CASE_FIXTURE(Fixture,
                  "a shard whose outbox is full still takes its own messages, and nobody's commands") {
  options_.host.outbox_credit = 10;
  restart();
  for (unsigned n = 0; n < 3; ++n) balance(account(n));
  tell(account(0), make_deposit(100));
  environment.network({.lose = 1, .twice = 0, .delay = 0});
  for (int i = 0; i < 9; ++i) tell(account(0), make_transfer(entity("account", 1), 1));
  tell(account(0), make_transfer(account(1), 10, {account(2), entity("account", 1)}));
  CHECK(status(kShard).outbox == 10);
  CHECK(balance(account(2)) == 0);
  const auto refused = ask(account(0), make_deposit(1));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::overloaded);
  environment.network({});
  advance(60'000);
  CHECK(balance(entity("account", 1)) == 19);
}

TEST_CASE_FIXTURE(Fixture, "what is not handed over when the node stops is there when it starts") {
  tell(account(0), make_deposit(100));
  restart();
  balance(account(0));
  hold_work(true);
  tell(account(0), make_transfer(account(1), 10, {account(2)}));
  std::int64_t total_deposits = 100;
  SUBCASE("asleep") {}
  SUBCASE("while a batch is on its way") {
    total_deposits = 101;
    hold_commits(true);
    send(account(0), make_deposit(1));
    send(account(0), make_transfer(account(2), 5));
    hold_commits(false);
  }
  const auto before = balance(account(0));
  hold_work(false);
  CHECK(stop());
  REQUIRE_FALSE(start());
  advance(5'000);
  CHECK(balance(account(0)) == before);
  CHECK(balance(account(1)) == 0);
  CHECK(balance(account(2)) >= 10);
  CHECK(balance(account(0)) + balance(account(2)) == total_deposits);
  CHECK(rows(Table::outbox) == 0);
}

TEST_CASE_FIXTURE(Fixture,
                  "a command that is relaxed elsewhere is not when it comes with its sender's record") {
  total(echo(0));
  total(echo(1));
  tell(echo(0), make_transfer(echo(1), 3));
  lose_power();
  REQUIRE_FALSE(start());
  CHECK(total(echo(1)) == 3);
}

}  // namespace cx::test
