#pragma once

#include <string>
#include <string_view>
#include <tuple>

#include "actors/journey/book.hpp"
#include "cx/v1/journey.pb.h"
#include "runtime/entity/kind.hpp"

namespace cx::journey {

/// A journey of one customer: the entity journey/<tenant>/<journey>[@<key>]:<customer>, as its pure core. It
/// goes from step to step within one decision until it has to wait: for a time (reminder "wake"), for an
/// event, or for its customer to judge a decision's conditions. Each visit of a step has a number that never
/// comes again; what belongs to an older visit is ignored, so that nothing happens twice.
///
/// While the journey is paused, the one thing that would make the instance go on is parked in its state, and
/// taken up by ReconsiderRun once it is active again.
///
/// Errors: unavailable "journey-not-loaded" where the book does not have the revision yet (the letter is sent
/// again); not_found "no-such-run" of GetRun, where it was never started.
struct InstanceEntity {
  static constexpr std::string_view kName = "journey";
  static constexpr std::uint32_t kSchema = 1;
  static constexpr int kMostSteps = 200;               ///< in one decision
  static constexpr int kMostNotes = 200;               ///< kept of the path
  static constexpr std::size_t kMemoryBytes = 32'768;  ///< what goes beyond is not remembered
  using State = v1::InstanceState;
  using Event = v1::InstanceEvent;
  using Commands = std::tuple<v1::StartRun, v1::RunEvent, v1::WakeRun, v1::StepDecided, v1::MessageUpdate,
                              v1::ReconsiderRun, v1::GetRun>;
  using Out = Outcome<Event, NoReply>;

  const Book* book = nullptr;

  Result<Out> handle(const State& state, const v1::StartRun& command, const Context& context) const;
  Result<Out> handle(const State& state, const v1::RunEvent& command, const Context& context) const;
  Result<Out> handle(const State& state, const v1::WakeRun& command, const Context& context) const;
  Result<Out> handle(const State& state, const v1::StepDecided& command, const Context& context) const;
  Result<Out> handle(const State& state, const v1::ReconsiderRun& command, const Context& context) const;
  static Out handle(const State& state, const v1::MessageUpdate& command, const Context& context);
  Result<v1::JourneyPath> handle(const State& state, const v1::GetRun& query, const Context& context) const;
  static void apply(State& state, const Event& event);

  /// InstanceFacts.
  MessagePtr facts(const State& state, const v1::StartRun& command, const Context& context) const;
  MessagePtr facts(const State& state, const v1::RunEvent& command, const Context& context) const;
  MessagePtr facts(const State& state, const v1::WakeRun& command, const Context& context) const;
  MessagePtr facts(const State& state, const v1::StepDecided& command, const Context& context) const;
  MessagePtr facts(const State& state, const v1::ReconsiderRun& command, const Context& context) const;

  /// The customer's key.
  static std::string_view affinity(std::string_view key);
};

/// Whether it has begun and is not over.
bool is_running(const v1::InstanceState& state);

}  // namespace cx::journey
