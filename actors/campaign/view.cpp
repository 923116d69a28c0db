#include "actors/campaign/view.hpp"

#include "actors/campaign/content.hpp"
#include "actors/campaign/rules.hpp"
#include "actors/campaign/workflow.hpp"

namespace cx::campaign {

std::string etag(const v1::CampaignState& state) {
  return std::to_string(state.version());
}

v1::Campaign view(const v1::CampaignState& state) {
  v1::Campaign shown;
  shown.set_id(state.id());
  *shown.mutable_content() = state.content();
  shown.set_stage(state.stage());
  shown.set_paused_from(state.paused_from());
  shown.set_owner(state.content().owner().empty() ? state.created_by() : state.content().owner());
  for (const auto action : allowed_actions(state.stage())) shown.add_allowed_actions(action);
  *shown.mutable_approvals() = state.review().approvals();
  if (state.stage() == v1::CAMPAIGN_STAGE_IN_REVIEW)
    for (auto& one : missing(state.content(), state.review())) *shown.add_missing() = std::move(one);
  shown.set_content_hash(content_hash(state.content()));
  shown.set_etag(etag(state));
  shown.set_submitted_by(state.review().submitted_by());
  if (state.has_review()) *shown.mutable_submitted_at() = state.review().submitted_at();
  if (state.has_scheduled_at()) *shown.mutable_scheduled_at() = state.scheduled_at();
  if (state.has_live_at()) *shown.mutable_live_at() = state.live_at();
  if (state.has_completed_at()) *shown.mutable_completed_at() = state.completed_at();
  *shown.mutable_created_at() = state.created_at();
  shown.set_created_by(state.created_by());
  *shown.mutable_updated_at() = state.updated_at();
  shown.set_updated_by(state.updated_by());
  shown.set_transitions(state.transition_count());
  return shown;
}

}  // namespace cx::campaign
