#pragma once

#include <cstdint>
#include <google/protobuf/timestamp.pb.h>
#include <string>

#include "cx/v1/campaign.pb.h"
#include "runtime/entity/kind.hpp"

namespace cx::campaign {

using google::protobuf::Timestamp;

/// Between the years 1 and 9999, as JSON can have it.
bool is_valid(const Timestamp& time);
Timestamp time_of(std::int64_t unix_ms);
/// Unix milliseconds, rounded up: nothing is done too early. Of a valid time.
std::int64_t ms_of(const Timestamp& time);
bool before(const Timestamp& a, const Timestamp& b);
/// "2026-03-01T09:00:00Z"
std::string text_of(const Timestamp& time);

/// Adds what has to be reminded of in `after` and was not in `before`, and cancels the reverse. A campaign
/// that is scheduled goes live by itself; one that is scheduled, live or paused ends by itself where it has
/// an end. Thus a paused one does not go live, but does end.
void set_reminders(const v1::CampaignState& before, const v1::CampaignState& after, Effects& effects);

/// The same reminder again: the clock says that it came too early.
void remind_again(const v1::GoLiveDue& due, Effects& effects);
void remind_again(const v1::EndDue& due, Effects& effects);

}  // namespace cx::campaign
