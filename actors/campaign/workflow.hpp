#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cx/v1/campaign.pb.h"

// The life of a campaign as data: nine stages, ten actions.

namespace cx::campaign {

using Stage = v1::CampaignStage;
using Action = v1::CampaignAction;

/// One entry of the transition matrix.
struct Step {
  Stage from;
  Action action;
  Stage to;  ///< UNSPECIFIED: the stage that it was paused from
};

/// Every action that there is in every stage; what is not in here is refused. To approve leads on only with
/// the last approval that the rules ask for.
extern const std::array<Step, 14> kSteps;

/// Null where `from` does not allow `action`.
const Step* find_step(Stage from, Action action);
std::vector<Action> allowed_actions(Stage stage);

/// What an edit does that changes what an approval is of.
enum class EditEffect {
  none,     ///< there is no approval to lose
  reopens,  ///< it becomes a draft again, without approvals and schedule
  refused,  ///< it is what is, or was, live
};
/// `paused_from` matters for a paused campaign only.
EditEffect edit_effect(Stage stage, Stage paused_from);

/// "in review"
std::string_view words(Stage stage);
/// As in routes: "requestChanges".
std::string_view words(Action action);
/// "pause, complete"; "nothing" where a stage allows none.
std::string allowed_words(Stage stage);

}  // namespace cx::campaign
