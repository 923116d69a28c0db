#pragma once

// What an instance does in one decision; for actors/journey/*.cpp only.

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "actors/journey/address.hpp"
#include "actors/journey/instance.hpp"
#include "actors/journey/json.hpp"
#include "actors/journey/parts.hpp"

namespace cx::journey {

/// `memory`, an object's text or empty, with one member set. None where it would be too large.
std::optional<std::string> remembered(std::string_view memory, std::string_view name, std::string_view json);
/// The share of a split that a customer belongs to, from 0: always the same one, and of different steps
/// independently of each other.
std::size_t share_of(const std::vector<ReadyStep::Share>& shares, std::string_view tenant,
                     std::string_view journey, std::string_view step, std::string_view customer);
/// The same for the same visit of the same run: "m-" and 32 hex digits.
std::string message_id(std::string_view instance, std::uint64_t run, std::uint64_t visit);

/// Takes an instance from step to step and writes down what happens, as events and effects. Nothing changes
/// the state: what a step needs of it, the walk carries along.
class Walk {
 public:
  Walk(const Definition& definition, const v1::InstanceState& state, const Context& context);

  // Before the first step of a run.
  void begin(const v1::StartRun& command);
  /// When what leads to all that follows reached us, Unix microseconds; 0: nothing did.
  void caused_at(std::int64_t at) { caused_at_ = at; }

  /// Goes on at a step of the definition by its place, -1 for none, until it has to wait, or is over.
  void go(int step);
  /// What leads on from a wait that is over, and from a decision.
  void woken();
  void happened(const v1::RunEvent& event);
  void decided(const v1::StepDecided& decision);

  void park(v1::ParkedCommand command);
  void unpark();
  void end(v1::RunStatus status, std::string_view reason);
  /// Ends a run because its customer has started another, which the customer need not be told.
  void replaced();

  /// Whether a step listens to the event, and its condition holds; of exit_on likewise.
  bool awaits(const v1::RunEvent& event) const;
  bool leaves(const v1::RunEvent& event) const;

  InstanceEntity::Out finish();

 private:
  v1::InstanceEvent& add() { return out_.events.emplace_back(); }
  void note(std::string_view what, std::string_view reason);
  /// What a condition sees beside `event`.
  condition::Subject subject(const boost::json::object& event) const;
  const ReadyStep* here() const { return definition_.parts().step(step_); }

  bool wait(const ReadyStep& step);
  std::optional<std::int64_t> moment(const ReadyStep& step);
  void remember(std::string_view name, std::string json);
  void remember(const ReadyStep& step);
  void send(const ReadyStep& step);
  void ask(const ReadyStep& step);
  int split(const ReadyStep& step);

  const Definition& definition_;
  const Context& context_;
  Instance self_;
  std::string customer_;  ///< its address
  InstanceEntity::Out out_;
  std::int64_t caused_at_ = 0;
  bool wakes_;  ///< the reminder is set

  // Of the state, as it has become.
  std::string step_, key_, event_, memory_;
  std::uint64_t revision_, run_, visit_;
  mutable std::optional<boost::json::object> memory_object_;  ///< `memory_`, once it is asked for
};

}  // namespace cx::journey
