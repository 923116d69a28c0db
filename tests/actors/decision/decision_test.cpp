#include "actors/decision/decision.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <string>

#include "actors/campaign/timing.hpp"
#include "actors/decision/announce.hpp"
#include "actors/decision/id.hpp"
#include "runtime/entity/kind_of.hpp"

namespace cx::decision {
namespace {

constexpr std::int64_t kNow = 1'772'323'200'000, kHour = 3'600'000;  // 2026-03-01T00:00:00Z

v1::ReportOutcome report(v1::Outcome outcome, const std::string& outcome_id = "") {
  v1::ReportOutcome out;
  out.set_outcome(outcome);
  out.set_outcome_id(outcome_id);
  return out;
}

struct Driver {
  std::string id = id_of(uuid7(kNow, 1, 2), 0);
  std::int64_t now = kNow + 60'000;
  DecisionEntity kind{24};
  v1::DecisionState state;
  std::vector<v1::DecisionEvent> events;

  Result<v1::OutcomeReported> send(const v1::ReportOutcome& command) {
    Context context;
    context.now = now;
    context.key = id;
    const auto facts = kind.facts(state, command, context);
    context.facts = facts.get();
    auto outcome = kind.handle(state, command, context);
    if (!outcome) return outcome.error();
    for (const auto& event : outcome->events) {
      DecisionEntity::apply(state, event);
      events.push_back(event);
    }
    return outcome->reply;
  }
  std::string error(const v1::ReportOutcome& command) {
    const auto reply = send(command);
    return reply ? "" : reply.error().type + " " + reply.error().pointer;
  }
  v1::ReportOutcome at(std::int64_t ms, v1::Outcome outcome = v1::OUTCOME_CLICK) const {
    auto out = report(outcome);
    *out.mutable_at() = campaign::time_of(ms);
    return out;
  }
};

}  // namespace

TEST_CASE("an id says when it was decided, and nothing else is one") {
  const std::string good = "019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0e-1";
  CHECK(decided_at(good) == 0x019a8f2e6c1d);
  CHECK(decided_at(good + "00") == 0x019a8f2e6c1d);
  CHECK(good.substr(0, 13) == first_id(0x019a8f2e6c1d));
  for (const std::string bad :
       {"", "1", "019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0e", "019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0e-",
        "019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0e-0", "019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0e-01",
        "019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0e-1000", "019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0e-x",
        "019A8F2E-6C1D-7A4B-9D3E-5F6A7B8C9D0E-1", "019a8f2e-6c1d-4a4b-9d3e-5f6a7b8c9d0e-1",
        "019a8f2e06c1d-7a4b-9d3e-5f6a7b8c9d0e-1", "019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0g-1"}) {
    CAPTURE(bad);
    CHECK(!decided_at(bad));
  }
}

TEST_CASE("property: ids sort by time, and are read back") {
  CHECK(rc::check([] {
    const auto a = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 48);
    const auto b = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 48);
    const auto random = *rc::gen::arbitrary<std::uint64_t>();
    const auto n = *rc::gen::inRange<std::size_t>(0, 999);
    const auto id = id_of(uuid7(a, random, ~random), n);
    RC_ASSERT(decided_at(id) == a);
    RC_ASSERT((id < first_id(b)) == (a < b));
  }));
}

TEST_CASE("the first of each kind counts, and a repeat gets its answer") {
  Driver d;
  const auto first = d.send(report(v1::OUTCOME_CLICK));
  REQUIRE(first);
  CHECK(first->decision_id() == d.id);
  CHECK(first->attributed());
  CHECK(!first->duplicate());
  CHECK(d.state.outcomes(0).at() == d.now);
  d.now += 100 * kHour;
  const auto again = d.send(report(v1::OUTCOME_CLICK, "another id"));
  CHECK(again->attributed());
  CHECK(again->duplicate());
  CHECK(d.send(report(v1::OUTCOME_DISMISS))->reason() == "later than 24 hours after the decision");
  CHECK(d.events.size() == 2);
}

TEST_CASE("conversions are told apart by their id, and the most are 20") {
  Driver d;
  auto order = report(v1::OUTCOME_CONVERSION, "order-0");
  order.mutable_value()->set_micros(25'500'000);
  order.mutable_value()->set_currency("EUR");
  for (int i = 0; i < DecisionEntity::kMostConversions; ++i) {
    order.set_outcome_id("order-" + std::to_string(i));
    CHECK(d.send(order)->attributed());
    CHECK(d.send(order)->duplicate());
  }
  CHECK(d.state.outcomes(3).value().micros() == 25'500'000);
  order.set_outcome_id("one more");
  const auto reply = d.send(order);
  CHECK(!reply->attributed());
  CHECK(reply->reason().starts_with("not kept: 20 conversions"));
  CHECK(d.state.outcomes_size() == DecisionEntity::kMostConversions);
  CHECK(d.send(report(v1::OUTCOME_CLICK))->attributed());
}

TEST_CASE("what happened too late is kept and not attributed; when it was told does not matter") {
  Driver d;
  d.now = kNow + 1'000 * kHour;
  CHECK(d.send(d.at(kNow + 24 * kHour))->attributed());
  const auto late = d.send(d.at(kNow + 24 * kHour + 1, v1::OUTCOME_OPEN));
  CHECK(!late->attributed());
  CHECK(late->reason() == "later than 24 hours after the decision");
  CHECK(shown(d.state.outcomes(0)).attributed());
  CHECK(!shown(d.state.outcomes(1)).attributed());
  CHECK(campaign::ms_of(shown(d.state.outcomes(1)).reported_at()) == d.now);
}

TEST_CASE("what cannot be is refused, and says where it is wrong") {
  Driver d;
  CHECK(d.error(d.at(kNow - kSkew - 1)) == "invalid-outcome-time /at");
  CHECK(d.error(d.at(d.now + kSkew + 1)) == "invalid-outcome-time /at");
  auto when = report(v1::OUTCOME_CLICK);
  when.mutable_at()->set_seconds(1'000'000'000'000);
  CHECK(d.error(when) == "invalid-time /at");
  CHECK(d.error(report(v1::OUTCOME_UNSPECIFIED)) == "invalid-value /outcome");
  CHECK(d.error(report(static_cast<v1::Outcome>(99))) == "invalid-value /outcome");
  auto money = report(v1::OUTCOME_CONVERSION);
  money.mutable_value()->set_currency("dollars");
  CHECK(d.error(money) == "invalid-money /value/currency");
  CHECK(d.error(d.at(kNow - kSkew)) == "");
  d.id = "nonsense";
  CHECK(d.error(report(v1::OUTCOME_CLICK)) == "invalid-decision-id /decision_id");
  d.id = id_of(uuid7(d.now + kSkew + 1, 1, 2), 0);
  CHECK(d.error(report(v1::OUTCOME_CLICK)) == "invalid-decision-id /decision_id");
  CHECK(d.events.size() == 1);
}

TEST_CASE("others are told of each outcome") {
  Driver d;
  REQUIRE(d.send(d.at(kNow + 7)));
  REQUIRE(d.send(report(v1::OUTCOME_CONVERSION, "order-1")));
  v1::JournalRecord record;
  record.set_entity("decision/acme/" + d.id);
  for (const auto& event : d.events) record.add_events(event.SerializeAsString());
  const auto said = announce_outcome(record);
  REQUIRE(said);
  REQUIRE(said->size() == 2);
  CHECK((*said)[0].type == "click");
  CHECK((*said)[0].at == kNow + 7);
  CHECK((*said)[1].index == 1);
  CHECK((*said)[1].type == "conversion");
  CHECK(dynamic_cast<const v1::ReportedOutcome&>(*(*said)[1].body).outcome_id() == "order-1");
  record.add_events("\x0a\xff");
  CHECK(announce_outcome(record).error().type == "corrupt");
}

}  // namespace cx::decision
