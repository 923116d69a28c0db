#include "actors/customer/customer.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <vector>

#include "actors/customer/demo_profiles.hpp"
#include "runtime/entity/kind_of.hpp"

namespace cx {
namespace {

constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kNow = 1'700'000'000'000;

struct Driver {
  Customer::State state;
  std::uint32_t per_hour, per_day;

  template <class Command>
  auto run(const Command& command, std::int64_t now) {
    Context context;
    context.now = now;
    context.self = "customer/demo/x";
    auto outcome = Customer::handle(state, command, context);
    for (const auto& event : outcome.events) Customer::apply(state, event);
    return outcome;
  }

  v1::ImpressionsGranted reserve(std::uint32_t count, std::int64_t now) {
    v1::ReserveImpressions command;
    command.set_count(count);
    command.mutable_cap()->set_per_hour(per_hour);
    command.mutable_cap()->set_per_day(per_day);
    return run(command, now).reply;
  }
  void release(std::uint32_t count, std::int64_t reserved_at) {
    v1::ReleaseImpressions command;
    command.set_count(count);
    command.set_reserved_at(reserved_at);
    run(command, reserved_at);
  }
};

}  // namespace

TEST_CASE("as many are granted as both windows allow") {
  Driver d{{}, 3, 5};
  CHECK(d.reserve(2, kNow).granted() == 2);
  CHECK(d.reserve(2, kNow + 1).granted() == 1);
  CHECK(d.reserve(1, kNow + 2).granted() == 0);
  CHECK(d.reserve(9, kNow + kHour - 1).granted() == 0);
  CHECK(d.reserve(9, kNow + kHour).granted() == 2);  // an hour after the first two; the day has two left
  CHECK(d.reserve(9, kNow + 3 * kHour).granted() == 0);
  CHECK(d.reserve(9, kNow + kDay - 1).granted() == 0);
  CHECK(d.reserve(9, kNow + kDay).granted() == 2);
}

TEST_CASE("a cap of zero grants nothing, and an unasked question changes nothing but last_seen") {
  Driver never{{}, 0, 10};
  CHECK(never.reserve(1, kNow).granted() == 0);
  Driver d{{}, 3, 5};
  CHECK(d.reserve(0, kNow).granted() == 0);
  CHECK(d.state.reserved_at().empty());
  CHECK(d.state.last_seen() == kNow);
  CHECK(d.reserve(1, kNow + 9).last_seen() == kNow);
}

TEST_CASE("what is released can be reserved again, and no more than was reserved") {
  Driver d{{}, 3, 3};
  const auto grant = d.reserve(3, kNow);
  CHECK(grant.used_hour() == 3);
  d.release(2, grant.reserved_at());
  CHECK(d.reserve(3, kNow + 5).granted() == 2);
  d.release(100, kNow + 5);
  d.release(1, kNow + 999);  // never reserved
  CHECK(d.state.reserved_at_size() == 1);
}

TEST_CASE("a clock that is set back does not reopen a window") {
  Driver d{{}, 2, 2};
  CHECK(d.reserve(2, kNow).granted() == 2);
  CHECK(d.reserve(1, kNow - kDay).granted() == 0);
  CHECK(d.reserve(1, kNow - 10 * kDay).granted() == 0);
  CHECK(std::is_sorted(d.state.reserved_at().begin(), d.state.reserved_at().end()));
}

TEST_CASE("property: in no window is a cap exceeded, nor is less granted than allowed") {
  const bool held = rc::check([] {
    Driver d{{}, *rc::gen::inRange(0u, 6u), *rc::gen::inRange(0u, 10u)};
    std::vector<std::int64_t> oracle;  // times of what is reserved
    std::int64_t now = kNow;
    for (const auto& step : *rc::gen::container<std::vector<std::pair<std::int64_t, int>>>(
             rc::gen::pair(rc::gen::inRange<std::int64_t>(0, 2 * kHour), rc::gen::inRange(-2, 5)))) {
      now += step.first;
      const auto within = [&](std::int64_t window) {
        return static_cast<std::uint32_t>(
            std::count_if(oracle.begin(), oracle.end(), [&](std::int64_t t) { return t > now - window; }));
      };
      if (step.second >= 0) {
        const auto wanted = static_cast<std::uint32_t>(step.second);
        const auto hour = within(kHour), day = within(kDay);
        const auto room =
            std::min(d.per_hour > hour ? d.per_hour - hour : 0, d.per_day > day ? d.per_day - day : 0);
        const auto granted = d.reserve(wanted, now).granted();
        RC_ASSERT(granted == std::min(wanted, room));
        oracle.insert(oracle.end(), granted, now);
      } else if (!oracle.empty()) {
        const auto at = oracle.back();
        const auto count =
            std::min<std::ptrdiff_t>(-step.second, std::count(oracle.begin(), oracle.end(), at));
        d.release(static_cast<std::uint32_t>(count), at);
        oracle.resize(oracle.size() - static_cast<std::size_t>(count));
      }
      RC_ASSERT(d.state.reserved_at_size() <= static_cast<int>(std::max(d.per_hour, d.per_day)));
    }
  });
  CHECK(held);
}

TEST_CASE("bids that were made leave a record, give back the rest, and change nothing else") {
  Driver d{{}, 3, 3};
  const auto grant = d.reserve(3, kNow);
  v1::RecordDecisions made;
  made.add_bids();
  made.add_bids();
  made.set_release(1);
  made.set_reserved_at(grant.reserved_at());
  auto events = d.run(made, kNow + 1).events;
  REQUIRE(events.size() == 2);
  CHECK(events[0].released().count() == 1);
  CHECK(events[1].decisions().count() == 2);
  CHECK(events[1].number() == 0);
  CHECK(d.state.reserved_at_size() == 2);
  const auto before = d.state.SerializeAsString();
  made.set_release(0);
  events = d.run(made, kNow + 2).events;
  CHECK(events.size() == 1);
  CHECK(d.state.SerializeAsString() == before);
}

TEST_CASE("last_seen is worth a record only when a minute has passed") {
  Driver d{{}, 0, 0};
  v1::ReserveImpressions nothing;
  CHECK(d.run(nothing, kNow).events.size() == 1);
  CHECK(d.run(nothing, kNow + 59'999).events.empty());
  CHECK(d.run(nothing, kNow + 60'000).events.size() == 1);
  CHECK(d.state.last_seen() == kNow + 60'000);
}

TEST_CASE("as an entity: its commands are relaxed by the contract, and events alone bring its state back") {
  const auto kind = make_kind(Customer{demo_profile, 42});
  const auto* reserve = kind->command(v1::ReserveImpressions::descriptor());
  REQUIRE(reserve);
  CHECK(reserve->relaxed);
  CHECK(kind->command(v1::ReleaseImpressions::descriptor())->relaxed);
  CHECK(kind->command(v1::RecordDecisions::descriptor())->relaxed);

  auto first = kind->make("customer/demo/x"), second = kind->make("customer/demo/x");
  v1::ReserveImpressions command;
  command.set_count(2);
  command.mutable_cap()->set_per_hour(3);
  command.mutable_cap()->set_per_day(3);
  Context context;
  context.now = kNow;
  const auto decision = first->decide(*reserve, command, context);
  REQUIRE(decision);
  for (const auto& event : decision->events) CHECK_FALSE(second->apply(kind->schema(), event));
  CHECK(second->save() == first->save());
  auto woken = kind->make("customer/demo/x");
  CHECK_FALSE(woken->load(kind->schema(), first->save()));
  CHECK(woken->save() == first->save());
}

TEST_CASE("demo profiles depend on seed and address alone, and keep their ranges") {
  CHECK(demo_profile(1, "customer/demo/a").SerializeAsString() ==
        demo_profile(1, "customer/demo/a").SerializeAsString());
  CHECK(demo_profile(1, "customer/demo/a").interests() != demo_profile(2, "customer/demo/a").interests());
  CHECK(demo_profile(1, "customer/demo/a").interests() != demo_profile(1, "customer/demo/b").interests());
  for (int i = 0; i < 1'000; ++i) {
    const auto profile = demo_profile(7, "customer/demo/" + std::to_string(i));
    CHECK(profile.interests().size() == 64);
    CHECK(std::is_sorted(profile.segments().begin(), profile.segments().end()));
    CHECK(profile.segments_size() >= 1);
    CHECK(*profile.segments().rbegin() < 64);
    const auto& loyalty = profile.loyalty();
    if (loyalty.tier() == v1::LOYALTY_TIER_GOLD) CHECK(loyalty.qualifying() >= 500);
    if (loyalty.tier() == v1::LOYALTY_TIER_RESERVE) CHECK(loyalty.qualifying() >= 2'500);
    if (loyalty.tier() == v1::LOYALTY_TIER_BASIC) CHECK(loyalty.qualifying() == 0);
  }
}

}  // namespace cx
