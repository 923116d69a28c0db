// From an approved campaign to an archived one, by hand and by reminders.
#include "actors/campaign/change.hpp"
#include "actors/campaign/rules.hpp"
#include "actors/campaign/timing.hpp"

namespace cx {
namespace {

using namespace campaign;

/// A step that needs nothing but the right stage.
template <class Command>
Campaign::Changed plain(const Campaign::State& state, const Command& command, Action action,
                        const Context& context) {
  if (auto error = refuse(state, action, command.if_match(), context)) return *error;
  Change change(state, context);
  change.add(change.step(action, find_step(state.stage(), action)->to, command.comment()));
  return std::move(change).finish();
}

Error not_approved(const Campaign::State& state) {
  return {Code::conflict, "not-approved",
          "What campaign " + state.id() +
              " holds is not what was approved. Edit it to make it a draft, and submit it.",
          ""};
}

Error already_over(const Campaign::State& state) {
  return {Code::conflict, "already-over",
          "The campaign's end, " + text_of(state.content().end()) +
              ", is past. Edit the end, which makes it a draft, and have it approved again.",
          ""};
}

bool over(const Campaign::State& state, std::int64_t now) {
  return state.content().has_end() && !before(time_of(now), state.content().end());
}

Error invalid_start(std::string detail) {
  return {Code::invalid_argument, "invalid-start", std::move(detail), "/start_at"};
}

/// When the campaign shall go live, in whole milliseconds.
Result<Timestamp> start_of(const v1::ScheduleCampaign& command, const v1::CampaignContent& content,
                           std::int64_t now) {
  if (!command.has_start_at() && !content.has_start())
    return invalid_start("The campaign has no start of its own. Say when it shall go live.");
  const auto& wanted = command.has_start_at() ? command.start_at() : content.start();
  if (!is_valid(wanted)) return invalid_start("That is not a time between the years 1 and 9999.");
  const auto at = time_of(ms_of(wanted));
  if (!before(time_of(now), at))
    return invalid_start(text_of(wanted) +
                         " is not in the future. Name a later time, or use goLive to start now.");
  if (content.has_start() && before(at, content.start()))
    return invalid_start("The campaign was approved to start at " + text_of(content.start()) +
                         " and not earlier. Name that time or a later one.");
  if (content.has_end() && !before(at, content.end()))
    return invalid_start("The campaign ends at " + text_of(content.end()) + ". Name an earlier time.");
  return at;
}

void go_live(Change& change, const std::string& why) {
  change.add(change.system_step(v1::CAMPAIGN_ACTION_GO_LIVE, v1::CAMPAIGN_STAGE_LIVE, why));
}

}  // namespace

Campaign::Changed Campaign::handle(const State& state, const v1::ScheduleCampaign& command,
                                   const Context& context) {
  if (auto error = refuse(state, v1::CAMPAIGN_ACTION_SCHEDULE, command.if_match(), context)) return *error;
  if (!approved(state)) return not_approved(state);
  if (over(state, context.now)) return already_over(state);
  const auto at = start_of(command, state.content(), context.now);
  if (!at) return at.error();
  Change change(state, context);
  auto step = change.step(v1::CAMPAIGN_ACTION_SCHEDULE, v1::CAMPAIGN_STAGE_SCHEDULED, command.comment());
  *step.mutable_moved()->mutable_scheduled_at() = *at;
  change.add(std::move(step));
  return std::move(change).finish();
}

Campaign::Changed Campaign::handle(const State& state, const v1::StartCampaign& command,
                                   const Context& context) {
  if (auto error = refuse(state, v1::CAMPAIGN_ACTION_GO_LIVE, command.if_match(), context)) return *error;
  if (!approved(state)) return not_approved(state);
  if (over(state, context.now)) return already_over(state);
  if (state.content().has_start() && before(time_of(context.now), state.content().start()))
    return Error{Code::conflict, "before-start",
                 "The campaign was approved to start at " + text_of(state.content().start()) +
                     ". Schedule it, or edit its start, which makes it a draft, and have it approved again.",
                 ""};
  return plain(state, command, v1::CAMPAIGN_ACTION_GO_LIVE, context);
}

Campaign::Changed Campaign::handle(const State& state, const v1::PauseCampaign& command,
                                   const Context& context) {
  return plain(state, command, v1::CAMPAIGN_ACTION_PAUSE, context);
}

Campaign::Changed Campaign::handle(const State& state, const v1::ResumeCampaign& command,
                                   const Context& context) {
  if (auto error = refuse(state, v1::CAMPAIGN_ACTION_RESUME, command.if_match(), context)) return *error;
  Change change(state, context);
  change.add(change.step(v1::CAMPAIGN_ACTION_RESUME, state.paused_from(), command.comment()));
  const auto& now = change.now();
  if (now.stage() == v1::CAMPAIGN_STAGE_SCHEDULED && ms_of(now.scheduled_at()) <= context.now &&
      approved(now))
    go_live(change, "Its scheduled time came while it was paused.");
  return std::move(change).finish();
}

Campaign::Changed Campaign::handle(const State& state, const v1::CompleteCampaign& command,
                                   const Context& context) {
  return plain(state, command, v1::CAMPAIGN_ACTION_COMPLETE, context);
}

Campaign::Changed Campaign::handle(const State& state, const v1::ArchiveCampaign& command,
                                   const Context& context) {
  return plain(state, command, v1::CAMPAIGN_ACTION_ARCHIVE, context);
}

Outcome<Campaign::Event, NoReply> Campaign::handle(const State& state, const v1::GoLiveDue& due,
                                                   const Context& context) {
  Outcome<Event, NoReply> nothing;
  if (state.stage() != v1::CAMPAIGN_STAGE_SCHEDULED ||
      ms_of(due.scheduled_at()) != ms_of(state.scheduled_at()) || !approved(state))
    return nothing;
  if (context.now < ms_of(due.scheduled_at())) {
    remind_again(due, nothing);
    return nothing;
  }
  Change change(state, context);
  go_live(change, "Its scheduled time has come.");
  return std::move(change).finish_quietly();
}

Outcome<Campaign::Event, NoReply> Campaign::handle(const State& state, const v1::EndDue& due,
                                                   const Context& context) {
  Outcome<Event, NoReply> nothing;
  const auto stage = state.stage();
  const bool running = stage == v1::CAMPAIGN_STAGE_LIVE || stage == v1::CAMPAIGN_STAGE_PAUSED ||
                       (stage == v1::CAMPAIGN_STAGE_SCHEDULED && approved(state));
  if (!running || !state.content().has_end() || ms_of(due.end()) != ms_of(state.content().end()))
    return nothing;
  if (context.now < ms_of(due.end())) {
    remind_again(due, nothing);
    return nothing;
  }
  Change change(state, context);
  // Both reminders are late, and this one came first.
  if (stage == v1::CAMPAIGN_STAGE_SCHEDULED) go_live(change, "Its scheduled time has come.");
  change.add(
      change.system_step(v1::CAMPAIGN_ACTION_COMPLETE, v1::CAMPAIGN_STAGE_COMPLETED, "Its end has come."));
  return std::move(change).finish_quietly();
}

}  // namespace cx
