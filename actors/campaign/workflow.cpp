#include "actors/campaign/workflow.hpp"

#include <algorithm>

namespace cx::campaign {

const std::array<Step, 14> kSteps = {{
    {v1::CAMPAIGN_STAGE_DRAFT, v1::CAMPAIGN_ACTION_SUBMIT, v1::CAMPAIGN_STAGE_IN_REVIEW},
    {v1::CAMPAIGN_STAGE_IN_REVIEW, v1::CAMPAIGN_ACTION_APPROVE, v1::CAMPAIGN_STAGE_APPROVED},
    {v1::CAMPAIGN_STAGE_IN_REVIEW, v1::CAMPAIGN_ACTION_REJECT, v1::CAMPAIGN_STAGE_REJECTED},
    {v1::CAMPAIGN_STAGE_IN_REVIEW, v1::CAMPAIGN_ACTION_REQUEST_CHANGES, v1::CAMPAIGN_STAGE_DRAFT},
    {v1::CAMPAIGN_STAGE_APPROVED, v1::CAMPAIGN_ACTION_SCHEDULE, v1::CAMPAIGN_STAGE_SCHEDULED},
    {v1::CAMPAIGN_STAGE_APPROVED, v1::CAMPAIGN_ACTION_GO_LIVE, v1::CAMPAIGN_STAGE_LIVE},
    {v1::CAMPAIGN_STAGE_REJECTED, v1::CAMPAIGN_ACTION_SUBMIT, v1::CAMPAIGN_STAGE_IN_REVIEW},
    {v1::CAMPAIGN_STAGE_SCHEDULED, v1::CAMPAIGN_ACTION_GO_LIVE, v1::CAMPAIGN_STAGE_LIVE},
    {v1::CAMPAIGN_STAGE_SCHEDULED, v1::CAMPAIGN_ACTION_PAUSE, v1::CAMPAIGN_STAGE_PAUSED},
    {v1::CAMPAIGN_STAGE_LIVE, v1::CAMPAIGN_ACTION_PAUSE, v1::CAMPAIGN_STAGE_PAUSED},
    {v1::CAMPAIGN_STAGE_LIVE, v1::CAMPAIGN_ACTION_COMPLETE, v1::CAMPAIGN_STAGE_COMPLETED},
    {v1::CAMPAIGN_STAGE_PAUSED, v1::CAMPAIGN_ACTION_RESUME, v1::CAMPAIGN_STAGE_UNSPECIFIED},
    {v1::CAMPAIGN_STAGE_PAUSED, v1::CAMPAIGN_ACTION_COMPLETE, v1::CAMPAIGN_STAGE_COMPLETED},
    {v1::CAMPAIGN_STAGE_COMPLETED, v1::CAMPAIGN_ACTION_ARCHIVE, v1::CAMPAIGN_STAGE_ARCHIVED},
}};

const Step* find_step(Stage from, Action action) {
  const auto* found = std::find_if(kSteps.begin(), kSteps.end(),
                                   [&](const Step& s) { return s.from == from && s.action == action; });
  return found == kSteps.end() ? nullptr : found;
}

std::vector<Action> allowed_actions(Stage stage) {
  std::vector<Action> allowed;
  for (const auto& step : kSteps)
    if (step.from == stage) allowed.push_back(step.action);
  return allowed;
}

EditEffect edit_effect(Stage stage, Stage paused_from) {
  switch (stage) {
    case v1::CAMPAIGN_STAGE_DRAFT:
    case v1::CAMPAIGN_STAGE_REJECTED:
      return EditEffect::none;
    case v1::CAMPAIGN_STAGE_IN_REVIEW:
    case v1::CAMPAIGN_STAGE_APPROVED:
    case v1::CAMPAIGN_STAGE_SCHEDULED:
      return EditEffect::reopens;
    case v1::CAMPAIGN_STAGE_PAUSED:
      return paused_from == v1::CAMPAIGN_STAGE_SCHEDULED ? EditEffect::reopens : EditEffect::refused;
    default:
      return EditEffect::refused;
  }
}

std::string_view words(Stage stage) {
  switch (stage) {
    case v1::CAMPAIGN_STAGE_DRAFT:
      return "a draft";
    case v1::CAMPAIGN_STAGE_IN_REVIEW:
      return "in review";
    case v1::CAMPAIGN_STAGE_APPROVED:
      return "approved";
    case v1::CAMPAIGN_STAGE_REJECTED:
      return "rejected";
    case v1::CAMPAIGN_STAGE_SCHEDULED:
      return "scheduled";
    case v1::CAMPAIGN_STAGE_LIVE:
      return "live";
    case v1::CAMPAIGN_STAGE_PAUSED:
      return "paused";
    case v1::CAMPAIGN_STAGE_COMPLETED:
      return "completed";
    case v1::CAMPAIGN_STAGE_ARCHIVED:
      return "archived";
    default:
      return "in no stage";
  }
}

std::string_view words(Action action) {
  switch (action) {
    case v1::CAMPAIGN_ACTION_SUBMIT:
      return "submit";
    case v1::CAMPAIGN_ACTION_APPROVE:
      return "approve";
    case v1::CAMPAIGN_ACTION_REJECT:
      return "reject";
    case v1::CAMPAIGN_ACTION_REQUEST_CHANGES:
      return "requestChanges";
    case v1::CAMPAIGN_ACTION_SCHEDULE:
      return "schedule";
    case v1::CAMPAIGN_ACTION_GO_LIVE:
      return "goLive";
    case v1::CAMPAIGN_ACTION_PAUSE:
      return "pause";
    case v1::CAMPAIGN_ACTION_RESUME:
      return "resume";
    case v1::CAMPAIGN_ACTION_COMPLETE:
      return "complete";
    case v1::CAMPAIGN_ACTION_ARCHIVE:
      return "archive";
    default:
      return "edit";
  }
}

std::string allowed_words(Stage stage) {
  std::string text;
  for (const auto action : allowed_actions(stage)) {
    if (!text.empty()) text += ", ";
    text += words(action);
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace cx::campaign
