#pragma once

#include "cx/v1/campaign.pb.h"

namespace cx::campaign {

/// A state as it is shown; of a campaign that was created. A function of the state alone, for whoever folds a
/// campaign's events with Campaign::apply.
v1::Campaign view(const v1::CampaignState& state);

/// The ETag of a state: another one after every change.
std::string etag(const v1::CampaignState& state);

}  // namespace cx::campaign
