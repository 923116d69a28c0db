#include "actors/campaign/campaign.hpp"

#include <algorithm>
#include <charconv>

#include "actors/campaign/change.hpp"
#include "actors/campaign/content.hpp"
#include "actors/campaign/timing.hpp"
#include "actors/campaign/view.hpp"

namespace cx {
namespace {

using namespace campaign;

constexpr int kPage = 50;
constexpr int kMostOnPage = 1'000;

void moved(Campaign::State& state, const v1::CampaignMoved& event) {
  auto step = event.transition();
  const auto from = state.stage(), to = step.to();
  step.set_number(state.transition_count() + 1);
  state.set_transition_count(step.number());
  auto& kept = *state.mutable_transitions();
  if (kept.size() >= Campaign::kTransitions)
    kept.DeleteSubrange(0, kept.size() - Campaign::kTransitions + 1);  // the log still has them
  *kept.Add() = step;

  state.set_stage(to);
  if (to != v1::CAMPAIGN_STAGE_PAUSED)
    state.clear_paused_from();
  else if (from != to)
    state.set_paused_from(from);
  if (event.has_review()) *state.mutable_review() = event.review();
  if (event.has_approval()) *state.mutable_review()->add_approvals() = event.approval();
  if (event.has_scheduled_at()) *state.mutable_scheduled_at() = event.scheduled_at();
  if (to == v1::CAMPAIGN_STAGE_DRAFT || to == v1::CAMPAIGN_STAGE_REJECTED) {
    state.clear_review();
    state.clear_scheduled_at();
  }
  if (to == v1::CAMPAIGN_STAGE_LIVE) {
    if (!state.has_live_at()) *state.mutable_live_at() = step.at();
    if (step.action() == v1::CAMPAIGN_ACTION_GO_LIVE && !step.automatic()) state.clear_scheduled_at();
  }
  if (to == v1::CAMPAIGN_STAGE_COMPLETED) *state.mutable_completed_at() = step.at();
}

}  // namespace

void Campaign::apply(State& state, const Event& event) {
  const auto changed = [&](const Timestamp& at, const std::string& by) {
    state.set_version(state.version() + 1);
    *state.mutable_updated_at() = at;
    state.set_updated_by(by);
  };
  switch (event.event_case()) {
    case Event::kCreated: {
      const auto& created = event.created();
      state.set_id(created.id());
      *state.mutable_content() = created.content();
      state.set_stage(v1::CAMPAIGN_STAGE_DRAFT);
      *state.mutable_created_at() = created.at();
      state.set_created_by(created.by());
      changed(created.at(), created.by());
      break;
    }
    case Event::kEdited:
      *state.mutable_content() = event.edited().content();
      changed(event.edited().at(), event.edited().by());
      break;
    case Event::kMoved:
      moved(state, event.moved());
      changed(event.moved().transition().at(), event.moved().transition().actor());
      break;
    case Event::EVENT_NOT_SET:
      break;
  }
}

Campaign::Changed Campaign::handle(const State& state, const v1::CreateCampaign& command,
                                   const Context& context) {
  auto content = command.campaign();
  content.DiscardUnknownFields();
  if (auto error = check_content(content)) return *error;
  if (state.has_content())
    return Error{
        Code::conflict, "already-exists",
        "There is a campaign " + state.id() + " already. Choose another id, or leave it out and get one.",
        "/campaign_id"};
  if (context.actor.empty()) return actor_unknown();
  Change change(state, context);
  Event event;
  auto& created = *event.mutable_created();
  created.set_id(std::string(context.key));
  *created.mutable_content() = std::move(content);
  *created.mutable_at() = time_of(context.now);
  created.set_by(std::string(context.actor));
  change.add(std::move(event));
  return std::move(change).finish();
}

Campaign::Changed Campaign::handle(const State& state, const v1::UpdateCampaign& command,
                                   const Context& context) {
  if (auto error = refuse(state, command.if_match(), context)) return *error;
  auto content = state.content();
  if (auto error = merge(command.campaign(), command.update_mask(), content)) return *error;
  if (auto error = check_content(content)) return *error;
  if (state.stage() == v1::CAMPAIGN_STAGE_ARCHIVED) return wrong_stage(state, "nothing can be edited");
  Change change(state, context);
  if (serialize(content) == serialize(state.content())) return std::move(change).finish();

  const bool touches_approval = content_hash(content) != content_hash(state.content());
  const auto effect = touches_approval ? edit_effect(state.stage(), state.paused_from()) : EditEffect::none;
  if (effect == EditEffect::refused)
    return wrong_stage(state, "only owner and labels can be edited, for what was approved must not change");
  Event event;
  auto& edited = *event.mutable_edited();
  *edited.mutable_content() = std::move(content);
  *edited.mutable_at() = time_of(context.now);
  edited.set_by(std::string(context.actor));
  change.add(std::move(event));
  if (effect == EditEffect::reopens) {
    auto step = change.step(v1::CAMPAIGN_ACTION_EDIT, v1::CAMPAIGN_STAGE_DRAFT, "");
    step.mutable_moved()->mutable_transition()->set_automatic(true);
    change.add(std::move(step));
  }
  return std::move(change).finish();
}

Result<v1::Campaign> Campaign::handle(const State& state, const v1::GetCampaign&, const Context& context) {
  if (!state.has_content()) return no_such_campaign(context);
  return view(state);
}

Result<v1::TransitionPage> Campaign::handle(const State& state, const v1::ListTransitionsRequest& query,
                                            const Context& context) {
  // The token is the number of the last transition of the page before.
  std::uint64_t before = state.transition_count() + 1;
  if (const auto& token = query.page_token(); !token.empty()) {
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), before);
    if (error != std::errc() || end != token.data() + token.size())
      return Error{Code::invalid_argument, "invalid-page-token",
                   "That is no page token of this list. Use next_page_token of the page before, as it is.",
                   "/page_token"};
  }
  if (!state.has_content()) return no_such_campaign(context);
  const int size = query.page_size() <= 0 ? kPage : std::min(query.page_size(), kMostOnPage);
  v1::TransitionPage page;
  page.set_forgotten(state.transition_count() - static_cast<std::uint64_t>(state.transitions_size()));
  for (int i = state.transitions_size() - 1; i >= 0; --i) {
    const auto& step = state.transitions(i);
    if (step.number() >= before) continue;
    if (page.transitions_size() == size) {
      page.set_next_page_token(std::to_string(page.transitions(size - 1).number()));
      break;
    }
    *page.add_transitions() = step;
  }
  return page;
}

}  // namespace cx
