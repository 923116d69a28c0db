#include "actors/decision/decision.hpp"

#include <algorithm>

#include "actors/campaign/content.hpp"
#include "actors/campaign/timing.hpp"
#include "actors/decision/id.hpp"

namespace cx::decision {
namespace {

constexpr std::int64_t kHour = 3'600'000;

Error invalid(const char* type, std::string detail, const char* pointer) {
  return {Code::invalid_argument, type, std::move(detail), pointer};
}

/// When it happened, if it can have come of a decision made at `decided`.
Result<std::int64_t> time_of(const v1::ReportOutcome& command, std::int64_t decided, std::int64_t now) {
  if (decided > now + kSkew)
    return invalid("invalid-decision-id",
                   "The decision_id is of a time that has not come. Send the id of a bid as its response had "
                   "it.",
                   "/decision_id");
  if (!command.has_at()) return now;
  if (!campaign::is_valid(command.at()))
    return invalid("invalid-time", "at has to be a time of the years 1 to 9999.", "/at");
  const auto at = campaign::ms_of(command.at());
  if (at < decided - kSkew)
    return invalid("invalid-outcome-time",
                   "at is before the decision, which was at " +
                       campaign::text_of(campaign::time_of(decided)) +
                       ". Send when the outcome happened, in UTC or with its offset.",
                   "/at");
  if (at > now + kSkew)
    return invalid("invalid-outcome-time",
                   "at is in the future. Report an outcome when it has happened; without at it happened now.",
                   "/at");
  return at;
}

const v1::KeptOutcome* find(const v1::DecisionState& state, const v1::ReportOutcome& command) {
  const bool many = command.outcome() == v1::OUTCOME_CONVERSION;
  for (const auto& kept : state.outcomes())
    if (kept.outcome() == command.outcome() && (!many || kept.outcome_id() == command.outcome_id()))
      return &kept;
  return nullptr;
}

}  // namespace

Result<Outcome<v1::DecisionEvent, v1::OutcomeReported>> DecisionEntity::handle(
    const State& state, const v1::ReportOutcome& command, const Context& context) const {
  const auto decided = decided_at(context.key);
  if (!decided)
    return invalid(
        "invalid-decision-id",
        "The decision_id is not the id of a bid, a UUID of version 7 in lower case, a hyphen and a "
        "number, like 019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0e-1. Send it as the bid response had it.",
        "/decision_id");
  if (!v1::Outcome_IsValid(command.outcome()) || command.outcome() == v1::OUTCOME_UNSPECIFIED)
    return invalid("invalid-value", "outcome has to be one of those there are, such as OUTCOME_CLICK.",
                   "/outcome");
  const auto at = time_of(command, *decided, context.now);
  if (!at) return at.error();
  if (command.has_value())
    if (auto error = campaign::check_money(command.value(), "/value")) return *error;

  Outcome<Event, v1::OutcomeReported> out;
  out.reply.set_decision_id(std::string(context.key));
  const auto answer = [&out](const v1::KeptOutcome& kept) {
    out.reply.set_attributed(kept.reason().empty());
    out.reply.set_reason(kept.reason());
  };
  if (const auto* kept = find(state, command)) {
    out.reply.set_duplicate(true);
    answer(*kept);
    return out;
  }
  const auto conversions = std::count_if(state.outcomes().begin(), state.outcomes().end(),
                                         [](const auto& o) { return o.outcome() == v1::OUTCOME_CONVERSION; });
  if (command.outcome() == v1::OUTCOME_CONVERSION && conversions >= kMostConversions) {
    out.reply.set_reason("not kept: " + std::to_string(kMostConversions) +
                         " conversions of the decision are known, the most that are");
    return out;
  }
  auto& kept = *out.events.emplace_back().mutable_outcome();
  kept.set_outcome(command.outcome());
  kept.set_at(*at);
  kept.set_reported_at(context.now);
  if (command.has_value()) *kept.mutable_value() = command.value();
  if (command.outcome() == v1::OUTCOME_CONVERSION) kept.set_outcome_id(command.outcome_id());
  const auto* facts = context.facts_as<v1::DecisionFacts>();
  const auto hours = facts == nullptr ? attribution_hours : facts->attribution_hours();
  if (*at > *decided + std::int64_t{hours} * kHour)
    kept.set_reason("later than " + std::to_string(hours) + " hours after the decision");
  answer(kept);
  return out;
}

void DecisionEntity::apply(State& state, const Event& event) {
  *state.add_outcomes() = event.outcome();
}

MessagePtr DecisionEntity::facts(const State&, const v1::ReportOutcome&, const Context&) const {
  auto out = std::make_shared<v1::DecisionFacts>();
  out->set_attribution_hours(attribution_hours);
  return out;
}

v1::ReportedOutcome shown(const v1::KeptOutcome& kept) {
  v1::ReportedOutcome out;
  out.set_outcome(kept.outcome());
  *out.mutable_at() = campaign::time_of(kept.at());
  *out.mutable_reported_at() = campaign::time_of(kept.reported_at());
  if (kept.has_value()) *out.mutable_value() = kept.value();
  out.set_outcome_id(kept.outcome_id());
  out.set_attributed(kept.reason().empty());
  out.set_reason(kept.reason());
  return out;
}

}  // namespace cx::decision
