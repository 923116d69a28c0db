#include <doctest/doctest.h>

#include "runtime/entity/history.hpp"
#include "tests/runtime/entity/harness.hpp"

// What a decision is told of the world: asked once, recorded, and not asked again. And messages that a
// decision buries.

namespace cx::test {
namespace {

/// Adds what it is given times a rate that changes outside.
struct Rated {
  static constexpr std::string_view kName = "rated";
  static constexpr std::uint32_t kSchema = 1;
  using State = CounterState;
  using Event = CounterEvent;
  using Commands = std::tuple<Add, Take, Transfer, GetTotal>;

  inline static std::int64_t rate = 1;
  inline static unsigned asked = 0;
  inline static bool broken = false;

  static MessagePtr rate_now() {
    ++asked;
    if (broken) throw std::runtime_error("no rates today");
    if (rate == 0) return nullptr;
    auto facts = std::make_shared<Total>();
    facts->set_total(rate);
    return facts;
  }
  MessagePtr facts(const State&, const Add&, const Context&) const { return rate_now(); }
  MessagePtr facts(const State&, const GetTotal&, const Context&) const { return rate_now(); }

  static std::int64_t rate_of(const Context& context) {
    const auto* facts = context.facts_as<Total>();
    CHECK(context.facts_as<Balance>() == nullptr);
    return facts != nullptr ? facts->total() : -1;
  }
  static Outcome<Event, NoReply> handle(const State&, const Add& add, const Context& context) {
    Outcome<Event, NoReply> out;
    if (add.n() != 0) out.events.emplace_back().set_added(add.n() * rate_of(context));
    return out;
  }
  static Outcome<Event, NoReply> handle(const State&, const Take&, const Context& context) {
    CHECK(context.facts == nullptr);
    Outcome<Event, NoReply> out;
    out.events.emplace_back().set_added(-1);
    return out;
  }
  /// Sends nothing: buries `amount` Credits of 1, and one of 7 that it sends.
  static Outcome<Event, NoReply> handle(const State&, const Transfer& transfer, const Context&) {
    Outcome<Event, NoReply> out;
    Credit credit;
    credit.set_amount(7);
    out.send(transfer.to(), credit);
    credit.set_amount(1);
    for (std::int64_t i = 0; i < transfer.amount(); ++i)
      out.bury(transfer.to(), credit, Error{Code::conflict, "no-consent", "They would rather not.", ""});
    return out;
  }
  static Total handle(const State& state, const GetTotal&, const Context& context) {
    Total total;
    total.set_total(state.total() * rate_of(context));
    return total;
  }
  static void apply(State& state, const Event& event) { state.set_total(state.total() + event.added()); }
};

const Kinds& kinds_of_these() {
  static const Kinds kinds = [] {
    auto all = all_kinds();
    all.add(make_kind(Rated{}));
    return all;
  }();
  return kinds;
}

struct Fixture : World {
  Fixture()
      : World([] {
          WorldOptions options;
          options.kinds = &kinds_of_these();
          return options;
        }()) {
    Rated::rate = 2;
    Rated::asked = 0;
    Rated::broken = false;
    REQUIRE_FALSE(start());
  }
  const std::string rated = entity("rated", 0), here = entity("account", 0), there = entity("account", 1);
};

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "a decision is made of facts that its record has, and those are not asked for again") {
  tell(rated, make_add(10));
  Rated::rate = 3;
  tell(rated, make_add(10));
  tell(rated, make_take(1));
  Rated::rate = 0;
  tell(rated, make_add(10));
  Rated::rate = 100;
  CHECK(Rated::asked == 3);
  CHECK(total(rated) == 39 * 100);  // queries are told, too
  CHECK(Rated::asked == 4);
  tell(rated, make_add(0));  // nothing is recorded where nothing happens
  CHECK(Rated::asked == 5);

  const auto log = records(shard_at(0));
  REQUIRE(log.size() == 4);
  CHECK(log[0].facts().type() == "cx.test.Total");
  CHECK(log[1].has_facts());
  CHECK_FALSE(log[2].has_facts());
  CHECK_FALSE(log[3].has_facts());

  restart();
  CHECK(Rated::asked == 5);
  CHECK(total(rated) == 39 * 100);
  Rated::asked = 0;
  Rated::rate = 0;
  auto base = base_of(journal(), kinds(), rated);
  REQUIRE(base);
  auto& past = *base;
  for (const auto& record : log) {
    const auto again = decide_again(past, *kinds().find("rated"), record);
    REQUIRE(again);
    CHECK(std::ranges::equal(again->events, record.events()));
    CHECK(past.sequence == record.sequence());
  }
  CHECK(Rated::asked == 1);  // by the one that was told nothing
  CHECK(static_cast<const CounterState&>(past.entity->state()).total() == 39);
}

TEST_CASE_FIXTURE(Fixture, "facts that cannot be had fail the command, and nothing else") {
  tell(rated, make_add(1));
  Rated::broken = true;
  const auto answer = ask(rated, make_add(1));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().type == "handler-failed");
  CHECK(answer.error().detail.find("no rates today") != std::string::npos);
  Rated::broken = false;
  Rated::rate = 1;
  CHECK(total(rated) == 2);
}

TEST_CASE_FIXTURE(Fixture, "facts are asked for when a decision is made, not when it was asked for") {
  tell(rated, make_add(1));
  restart();
  const auto reply = send(rated, make_add(10));  // it has to wake up first
  Rated::rate = 5;
  run();
  CHECK(**reply);
  Rated::rate = 1;
  CHECK(total(rated) == 52);
}

TEST_CASE_FIXTURE(Fixture,
                  "a decision may bury messages: its record names them, and a person can send them") {
  tell(there, make_deposit(1));
  tell(rated, make_transfer(there, 2));
  advance(1'000);
  CHECK(balance(there) == 8);  // the one that was sent
  auto dead = dead_letters();
  REQUIRE(dead.size() == 2);
  const auto record = records(shard_at(0)).front();
  REQUIRE(record.buried_size() == 2);
  CHECK(record.buried(1).message().to() == there);
  CHECK(record.buried(1).reason() == "no-consent");
  CHECK(record.buried(1).detail() == "They would rather not.");
  for (std::size_t i = 0; i < dead.size(); ++i) {
    CHECK(dead[i].id() == std::to_string(shard_at(0)) + "-1-" + std::to_string(i + 1));
    CHECK(dead[i].from() == rated);
    CHECK(dead[i].message().to() == there);
    CHECK(dead[i].reason() == "no-consent");
    CHECK(dead[i].attempts() == 0);
    CHECK(dead[i].first_at() == record.now());
  }
  restart();
  CHECK_FALSE(resolve(dead[0], true));
  CHECK_FALSE(resolve(dead[1], false));
  advance(1'000);
  CHECK(balance(there) == 9);
  CHECK(dead_letters().empty());
  CHECK(rows(Table::outbox) == 0);
}

TEST_CASE_FIXTURE(Fixture, "what is buried counts as a message, and goes with its decision") {
  const auto refused = ask(rated, make_transfer(there, Effects::kMostLetters));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().type == "handler-failed");
  CHECK(dead_letters().empty());
  total(rated);
  environment.disk().fail({FaultFiles::Operation::write, FaultFiles::Failure::io_error, 0, false, 0, ".log"});
  CHECK_FALSE(ask(rated, make_transfer(here, 3)));
  advance(2'000);
  CHECK(dead_letters().empty());
  CHECK(balance(here) == 0);
  tell(rated, make_transfer(here, Effects::kMostLetters - 1));
  advance(1'000);
  CHECK(dead_letters().size() == Effects::kMostLetters - 1);
  CHECK(balance(here) == 7);
}

}  // namespace cx::test
