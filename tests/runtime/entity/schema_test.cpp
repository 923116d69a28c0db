#include <doctest/doctest.h>

#include "tests/runtime/entity/harness.hpp"

// A kind that grows: newer builds read what older ones wrote, and older ones say that they cannot.

namespace cx::test {
namespace {

/// The next version of a counter counts in halves: it doubles what the first one wrote.
struct NextCounter {
  static constexpr std::string_view kName = "counter";
  static constexpr std::uint32_t kSchema = 2;
  using State = CounterState;
  using Event = CounterEvent;
  using Commands = std::tuple<Add, GetTotal>;

  static Outcome<Event, Total> handle(const State& state, const Add& add, const Context&) {
    return Counter::added(state, add.n());
  }
  static Total handle(const State& state, const GetTotal& get, const Context& context) {
    return Counter::handle(state, get, context);
  }
  static void apply(State& state, const Event& event) { Counter::apply(state, event); }
  static Result<State> upcast_state(std::uint32_t schema, std::string_view bytes) {
    State state;
    if (schema != 1 || !state.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return Error{Code::internal, "corrupt", "This is no counter of schema 1.", ""};
    state.set_total(state.total() * 2);
    return state;
  }
  static Result<Event> upcast_event(std::uint32_t, std::string_view bytes) {
    Event event;
    event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    event.set_added(event.added() * 2);
    return event;
  }
};

const Kinds& next_kinds() {
  static const Kinds kinds = [] {
    Kinds all;
    all.add(make_kind(NextCounter{}));
    return all;
  }();
  return kinds;
}

struct Fixture : World {
  Fixture() : first_kinds(options_.kinds) { REQUIRE_FALSE(start()); }
  void upgrade() {
    options_.kinds = &next_kinds();
    restart();
  }
  void downgrade() {
    options_.kinds = first_kinds;
    restart();
  }
  const Kinds* first_kinds;
  const std::string counter = entity("counter", 0);
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a newer build reads the events and snapshots of an older one") {
  add(counter, 5);
  SUBCASE("events") {}
  SUBCASE("a snapshot") {
    REQUIRE(stop());
  }
  SUBCASE("both") {
    add(counter, -2);
    REQUIRE(stop());
    REQUIRE_FALSE(start());
    add(counter, 2);
  }
  upgrade();
  CHECK(total(counter) == 10);
  CHECK(add(counter, 1) == 11);
  upgrade();
  CHECK(total(counter) == 11);
  CHECK(stop());
  upgrade();
  CHECK(total(counter) == 11);
  CHECK(stored_snapshot(counter)->schema() == 2);
  CHECK(records(shard_at(0)).back().schema() == 2);
}

TEST_CASE_FIXTURE(Fixture, "an older build refuses what a newer one wrote, says so, and changes nothing") {
  add(counter, 5);
  upgrade();
  add(counter, 1);
  SUBCASE("an event") {}
  SUBCASE("a snapshot") {
    REQUIRE(stop());
  }
  downgrade();
  for (int i = 0; i < 3; ++i) {
    const auto answer = ask(counter, make_add(1));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().type == "corrupt");
    CHECK(answer.error().detail.find("schema 2") != std::string::npos);
    CHECK(answer.error().detail.find("newer build") != std::string::npos);
    CHECK_FALSE(inspect(counter));
    advance(1'000);
  }
  CHECK(add(entity("counter", 4), 1) == 1);  // others of the shard are served
  CHECK(records(shard_at(0)).size() == 3);
  upgrade();
  CHECK(total(counter) == 11);
}

}  // namespace cx::test
