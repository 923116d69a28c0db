#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "actors/campaign/campaign.hpp"
#include "actors/campaign/workflow.hpp"

namespace cx::campaign {

/// A decision in the making: what it has led to so far is applied, so that the next step sees it.
class Change {
 public:
  using Event = Campaign::Event;

  Change(const Campaign::State& before, const Context& context)
      : before_(before), now_(before), context_(context) {}

  const Campaign::State& now() const { return now_; }
  void add(Event event);

  /// A step that the caller takes.
  Event step(Action action, Stage to, const std::string& comment) const;
  /// One that follows from another, taken by "system".
  Event system_step(Action action, Stage to, const std::string& comment) const;

  /// All of it, with the reminders that the new state needs and the campaign as it is then.
  Outcome<Event, v1::Campaign> finish() &&;
  /// The same without an answer.
  Outcome<Event, NoReply> finish_quietly() &&;

 private:
  const Campaign::State& before_;
  Campaign::State now_;
  const Context& context_;
  std::vector<Event> events_;
};

/// What every change has to stand up to: the campaign exists, is what the caller takes it for, and the caller
/// is known.
std::optional<Error> refuse(const Campaign::State& state, const std::string& if_match,
                            const Context& context);
/// ... and its stage allows the action.
std::optional<Error> refuse(const Campaign::State& state, Action action, const std::string& if_match,
                            const Context& context);
/// conflict "wrong-stage"; `needed` says what was wanted: "submit is not possible".
Error wrong_stage(const Campaign::State& state, const std::string& needed);
Error no_such_campaign(const Context& context);
Error actor_unknown();

}  // namespace cx::campaign
