#include <doctest/doctest.h>

#include "tests/runtime/entity/harness.hpp"

// Messages between entities: each takes effect once, or ends where a person can see it.

namespace cx::test {
namespace {

/// Takes credits, or does not: as the test says.
struct Moody {
  static constexpr std::string_view kName = "moody";
  static constexpr std::uint32_t kSchema = 1;
  using State = AccountState;
  using Event = AccountEvent;
  using Commands = std::tuple<Credit, GetBalance>;
  enum class Mood { good, refuses, throws, breaks };
  inline static Mood mood = Mood::good;
  inline static unsigned asked = 0;

  static Result<Outcome<Event, NoReply>> handle(const State& state, const Credit& credit,
                                                const Context& context) {
    ++asked;
    if (mood == Mood::refuses) return Error{Code::invalid_argument, "unwanted", "Not from you.", ""};
    if (mood == Mood::throws) throw std::runtime_error("not today");
    return Account::handle(state, credit, context);
  }
  static Balance handle(const State& state, const GetBalance&, const Context&) {
    return Account::balance(state);
  }
  static void apply(State& state, const Event& event) {
    if (mood == Mood::breaks) throw std::runtime_error("out of order");
    Account::apply(state, event);
  }
};

/// Sends more than one decision may, or a command that the receiver relaxes.
struct Sender {
  static constexpr std::string_view kName = "sender";
  static constexpr std::uint32_t kSchema = 1;
  using State = CounterState;
  using Event = CounterEvent;
  using Commands = std::tuple<Add, Transfer>;
  static Outcome<Event, NoReply> handle(const State&, const Add& add, const Context& context) {
    Outcome<Event, NoReply> out;
    for (std::int64_t i = 0; i < add.n(); ++i) out.send("counter/t/" + std::string(context.key), make_add(1));
    out.events.emplace_back().set_added(add.n());
    return out;
  }
  static Outcome<Event, NoReply> handle(const State&, const Transfer& transfer, const Context&) {
    Outcome<Event, NoReply> out;
    out.send(transfer.to(), make_relaxed(transfer.amount()));
    return out;
  }
  static void apply(State& state, const Event& event) { state.set_total(state.total() + event.added()); }
};

const Kinds& kinds_of_these() {
  static const Kinds kinds = [] {
    auto all = all_kinds();
    all.add(make_kind(Moody{}));
    all.add(make_kind(Sender{}));
    return all;
  }();
  return kinds;
}

struct Fixture : World {
  Fixture()
      : World([] {
          WorldOptions options;
          options.hosts = 2;
          options.kinds = &kinds_of_these();
          return options;
        }()) {
    Moody::mood = Moody::Mood::good;
    Moody::asked = 0;
    REQUIRE_FALSE(start());
    tell(from, make_deposit(1'000));
  }
  const std::string from = entity("account", 0), to = entity("account", 1), moody = entity("moody", 1);
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a message is delivered once its cause is on disk") {
  balance(to);
  hold_commits(true);
  send(from, make_transfer(to, 10));
  run();
  hold_commits(false);
  CHECK(rows(Table::outbox) == 0);
  run();
  CHECK(balance(from) == 990);
  CHECK(balance(to) == 10);
  advance(100);
  CHECK(rows(Table::outbox) == 0);
  const auto credit = records(shard_at(1)).back();
  CHECK(credit.actor() == from);
  CHECK(credit.id().source() == "shard/" + std::to_string(shard_at(0)));
}

TEST_CASE("messages take effect once, whatever the network does") {
  struct {
    const char* name;
    FaultEnvironment::Network network;
  } const table[] = {
      {"loss", {.lose = 0.5, .twice = 0, .delay = 0}},
      {"duplication", {.lose = 0, .twice = 0.7, .delay = 0}},
      {"delay", {.lose = 0, .twice = 0, .delay = 0.8}},
      {"all of it", {.lose = 0.3, .twice = 0.3, .delay = 0.3}},
  };
  for (const auto& row : table) {
    CAPTURE(row.name);
    WorldOptions options;
    options.hosts = 3;
    options.shuffled = true;
    World world(options);
    REQUIRE_FALSE(world.start());
    const auto account = [&](unsigned n) { return world.entity("account", n); };
    for (unsigned n = 0; n < 8; ++n) world.tell(account(n), make_deposit(100));
    world.environment.network(row.network);
    for (unsigned i = 0; i < 200; ++i) {
      world.send(account(i % 8), make_transfer(account((i * 3 + 1) % 8), 1 + i % 3));
      if (i % 3 == 0) world.advance(20);
      if (i % 20 == 19) world.environment.release();
      if (i == 100) world.restart();
    }
    world.advance(3'000);
    world.environment.release();
    world.environment.network({});
    world.advance(120'000);
    CHECK(world.rows(Table::outbox) == 0);
    CHECK(world.dead_letters().empty());
    std::int64_t sum = 0;
    std::uint64_t out = 0, in = 0;
    for (unsigned n = 0; n < 8; ++n) {
      sum += world.balance(account(n));
      AccountState state;
      state.ParseFromString(world.inspect(account(n))->state());
      out += state.transfers_out();
      in += state.transfers_in();
    }
    CHECK(sum == 800);
    CHECK(out == in);
    CHECK(out > 100);
  }
}

TEST_CASE_FIXTURE(Fixture, "a message outlives its node") {
  environment.network({.lose = 1, .twice = 0, .delay = 0});
  for (int i = 0; i < 5; ++i) tell(from, make_transfer(to, 10));
  CHECK(rows(Table::outbox) == 5);
  SUBCASE("that was killed") {
    restart();
  }
  SUBCASE("that was stopped") {
    CHECK(stop());
    REQUIRE_FALSE(start());
  }
  SUBCASE("that lost its power") {
    lose_power();
    REQUIRE_FALSE(start());
  }
  environment.network({});
  advance(10'000);
  CHECK(balance(to) == 50);
  CHECK(rows(Table::outbox) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a receiver that refuses for good gets no second message") {
  Moody::mood = Moody::Mood::refuses;
  tell(from, make_transfer(moody, 10));
  advance(30'000);
  CHECK(Moody::asked == 1);
  const auto dead = dead_letters();
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].id() == std::to_string(shard_at(0)) + "-2-0");
  CHECK(dead[0].from() == from);
  CHECK(dead[0].message().to() == moody);
  CHECK(dead[0].reason() == "unwanted");
  CHECK(dead[0].detail() == "Not from you.");
  CHECK(dead[0].attempts() == 1);
  Credit credit;
  CHECK(credit.ParseFromString(dead[0].message().command().bytes()));
  CHECK(credit.amount() == 10);
  CHECK(rows(Table::outbox) == 0);

  SUBCASE("it can be sent again, and takes effect once") {
    Moody::mood = Moody::Mood::good;
    CHECK_FALSE(resolve(dead[0], true));
    advance(1'000);
    CHECK(balance(moody) == 10);
    CHECK(dead_letters().empty());
    CHECK(resolve(dead[0], true)->code == Code::not_found);
    restart();
    advance(10'000);
    CHECK(balance(moody) == 10);
  }
  SUBCASE("however often two people ask for it at once") {
    Moody::mood = Moody::Mood::good;
    unsigned done = 0, refused = 0;
    const auto place = parse_dead_letter(dead[0].id());
    for (int i = 0; i < 3; ++i)
      host_of(place->shard).resolve(place->shard, place->key, true, [&](std::optional<Error> error) {
        ++(error ? refused : done);
      });
    run();
    advance(1'000);
    CHECK(done == 1);
    CHECK(refused == 2);
    CHECK(balance(moody) == 10);
  }
  SUBCASE("it can be forgotten") {
    CHECK_FALSE(resolve(dead[0], false));
    CHECK(dead_letters().empty());
    CHECK(resolve(dead[0], false)->code == Code::not_found);
  }
  SUBCASE("it survives") {
    lose_power();
    REQUIRE_FALSE(start());
    CHECK(dead_letters().size() == 1);
  }
}

TEST_CASE_FIXTURE(Fixture, "a receiver that fails is tried again, ever more rarely, and then no more") {
  Moody::mood = Moody::Mood::throws;
  tell(from, make_transfer(moody, 10));
  std::vector<std::int64_t> attempts;
  const auto started = now();
  for (unsigned seen = 0; now() < started + 120'000; advance(20))
    for (; seen < Moody::asked; ++seen) attempts.push_back(now() - started);
  CHECK(attempts.size() == 8);
  for (std::size_t i = 2; i < attempts.size(); ++i)
    CHECK(attempts[i] - attempts[i - 1] >= (attempts[i - 1] - attempts[i - 2]) * 3 / 2);
  const auto dead = dead_letters();
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].attempts() == 8);
  CHECK(dead[0].reason() == "handler-failed");
  CHECK(dead[0].detail().find("not today") != std::string::npos);
  CHECK(dead[0].last_at() - dead[0].first_at() > 5'000);
}

TEST_CASE_FIXTURE(Fixture, "a receiver that recovers in time gets it") {
  Moody::mood = Moody::Mood::throws;
  tell(from, make_transfer(moody, 10));
  advance(3'000);
  Moody::mood = Moody::Mood::good;
  advance(10'000);
  CHECK(balance(moody) == 10);
  CHECK(dead_letters().empty());
}

TEST_CASE_FIXTURE(Fixture,
                  "a receiver whose apply throws costs its shard a moment, and its sender a dead letter") {
  tell(entity("counter", 1), make_add(7));
  Moody::mood = Moody::Mood::breaks;
  tell(from, make_transfer(moody, 10));
  CHECK(status(shard_at(1)).state == "recovering");
  CHECK(status(shard_at(1)).error.find("out of order") != std::string::npos);
  for (int i = 0; i < 100 && status(shard_at(1)).state != "open"; ++i) advance(20);
  CHECK(total(entity("counter", 1)) == 7);
  advance(120'000);
  REQUIRE(dead_letters().size() == 1);
  CHECK(dead_letters()[0].reason() == "handler-failed");
  CHECK(status(shard_at(1)).state == "open");
  Moody::mood = Moody::Mood::good;
  CHECK_FALSE(resolve(dead_letters()[0], true));
  advance(1'000);
  CHECK(balance(moody) == 10);
}

TEST_CASE_FIXTURE(Fixture, "a message to nobody is a dead letter at once") {
  for (const std::string nobody : {"nobody", "account/T/x", "abacus/t/x", "counter/t/x"})
    tell(from, make_transfer(nobody, 1));
  advance(100);
  const auto dead = dead_letters();
  REQUIRE(dead.size() == 4);
  CHECK(dead[0].reason() == "invalid-address");
  CHECK(dead[1].reason() == "invalid-address");
  CHECK(dead[2].reason() == "unknown-kind");
  CHECK(dead[3].reason() == "unknown-command");
  CHECK(rows(Table::outbox) == 0);
  tell(from, make_transfer(to, 10));
  advance(100);
  CHECK(balance(to) == 10);
}

TEST_CASE_FIXTURE(Fixture,
                  "a shard whose outbox is full takes no more work of its own, but what others send") {
  options_.host.outbox_credit = 10;
  restart();
  balance(to);
  environment.network({.lose = 1, .twice = 0, .delay = 0});
  for (int i = 0; i < 10; ++i) tell(from, make_transfer(to, 1));
  const auto refused = ask(from, make_deposit(1));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::overloaded);
  CHECK(refused.error().detail.find("outbox") != std::string::npos);
  CHECK(balance(from) == 990);
  environment.network({});
  tell(to, make_deposit(5));
  tell(to, make_transfer(from, 5));
  advance(100);
  CHECK(balance(from) == 995);
  advance(20'000);
  CHECK(balance(to) == 10);
  tell(from, make_deposit(1));
}

TEST_CASE_FIXTURE(Fixture, "more messages than fit the window are all delivered") {
  const auto sender = entity("sender", 0), counter = entity("counter", 0);
  tell(sender, make_add(1'000));
  tell(sender, make_add(1'000));
  advance(20'000);
  CHECK(total(counter) == 2'000);
  CHECK(rows(Table::outbox) == 0);

  const auto refused = ask(sender, make_add(1'001));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail.find("1001 messages") != std::string::npos);
  CHECK(total(counter) == 2'000);
  tell(sender, make_add(Effects::kMostLetters));
  advance(20'000);
  CHECK(total(counter) == 3'000);
}

TEST_CASE_FIXTURE(Fixture, "a message is durable where it arrives before it is gone where it came from") {
  const auto counter = entity("counter", 1);
  total(counter);
  tell(entity("sender", 0), make_transfer(counter, 5));
  lose_power();
  REQUIRE_FALSE(start());
  advance(10'000);
  CHECK(total(counter) == 5);
}

TEST_CASE_FIXTURE(Fixture, "an entity may send to itself") {
  tell(from, make_transfer(from, 100));
  advance(100);
  CHECK(balance(from) == 1'000);
}

}  // namespace cx::test
