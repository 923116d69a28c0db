#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>

#include "cx/v1/decision.pb.h"
#include "runtime/entity/kind.hpp"

namespace cx::decision {

/// What came of a decision, as its pure core. It is there only where something was told, and knows of the
/// decision itself what its id says: when it was.
struct DecisionEntity {
  static constexpr std::string_view kName = "decision";
  static constexpr std::uint32_t kSchema = 1;
  static constexpr int kMostConversions = 20;
  using State = v1::DecisionState;
  using Event = v1::DecisionEvent;
  using Commands = std::tuple<v1::ReportOutcome>;

  std::uint32_t attribution_hours = 168;

  /// invalid_argument "invalid-decision-id", "invalid-value", "invalid-time", "invalid-outcome-time",
  /// "invalid-money".
  Result<Outcome<Event, v1::OutcomeReported>> handle(const State& state, const v1::ReportOutcome& command,
                                                     const Context& context) const;
  static void apply(State& state, const Event& event);
  MessagePtr facts(const State&, const v1::ReportOutcome&, const Context&) const;
};

/// As others see it.
v1::ReportedOutcome shown(const v1::KeptOutcome& kept);

}  // namespace cx::decision
