#include "actors/campaign/change.hpp"

#include "actors/campaign/timing.hpp"
#include "actors/campaign/view.hpp"

namespace cx::campaign {
namespace {

constexpr int kMostRoles = 16;
constexpr std::size_t kRoleBytes = 63;

}  // namespace

void Change::add(Event event) {
  Campaign::apply(now_, event);
  events_.push_back(std::move(event));
}

Change::Event Change::step(Action action, Stage to, const std::string& comment) const {
  Event event;
  auto& step = *event.mutable_moved()->mutable_transition();
  step.set_from(now_.stage());
  step.set_to(to);
  step.set_action(action);
  step.set_actor(std::string(context_.actor));
  for (const auto& role : context_.roles)
    if (step.roles_size() < kMostRoles && role.size() <= kRoleBytes) step.add_roles(role);
  *step.mutable_at() = time_of(context_.now);
  step.set_comment(comment);
  return event;
}

Change::Event Change::system_step(Action action, Stage to, const std::string& comment) const {
  auto event = step(action, to, comment);
  auto& step = *event.mutable_moved()->mutable_transition();
  step.set_actor("system");
  step.clear_roles();
  step.set_automatic(true);
  return event;
}

Outcome<Change::Event, v1::Campaign> Change::finish() && {
  Outcome<Event, v1::Campaign> out;
  set_reminders(before_, now_, out);
  out.events = std::move(events_);
  out.reply = view(now_);
  return out;
}

Outcome<Change::Event, NoReply> Change::finish_quietly() && {
  Outcome<Event, NoReply> out;
  set_reminders(before_, now_, out);
  out.events = std::move(events_);
  return out;
}

std::optional<Error> refuse(const Campaign::State& state, const std::string& if_match,
                            const Context& context) {
  if (!state.has_content()) return no_such_campaign(context);
  if (!if_match.empty() && if_match != "*" && if_match != etag(state))
    return Error{Code::precondition_failed, "etag-mismatch",
                 "Campaign " + state.id() + " has changed: its ETag is " + etag(state) + ", not " + if_match +
                     ". Look at it again, and name that.",
                 ""};
  if (context.actor.empty()) return actor_unknown();
  return std::nullopt;
}

std::optional<Error> refuse(const Campaign::State& state, Action action, const std::string& if_match,
                            const Context& context) {
  if (auto error = refuse(state, if_match, context)) return error;
  if (find_step(state.stage(), action) == nullptr)
    return wrong_stage(state, std::string(words(action)) + " is not possible");
  return std::nullopt;
}

Error wrong_stage(const Campaign::State& state, const std::string& needed) {
  return {Code::conflict, "wrong-stage",
          "Campaign " + state.id() + " is " + std::string(words(state.stage())) + ", where " + needed +
              ". Allowed now: " + allowed_words(state.stage()) + ".",
          ""};
}

Error no_such_campaign(const Context& context) {
  return {Code::not_found, "no-such-campaign",
          "There is no campaign " + std::string(context.key) + ". Create it first, or check the id.", ""};
}

Error actor_unknown() {
  return {Code::permission_denied, "actor-unknown",
          "Who changes a campaign is written down, and the request does not tell. Send it with a credential.",
          ""};
}

}  // namespace cx::campaign
