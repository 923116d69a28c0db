#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cx/v1/decision.pb.h"
#include "cx/v1/event.pb.h"

namespace cx {

/// The outcome of a decision that a track call tells of: one whose properties have a `decision_id` and that
/// has one of Segment's names: "Promotion Viewed" (an impression), "Promotion Clicked", "Promotion
/// Dismissed", "Email Opened", "Order Completed" (a conversion, by order_id, worth `revenue` in `currency`).
/// None for any other call, and for one that the decision would refuse: an event is taken whatever is in it.
/// `now`: Unix milliseconds.
std::optional<v1::ReportOutcome> outcome_of(const v1::TakeEvent& event, std::int64_t now);

/// A JSON number that is not negative as millionths, what is less than one left out; none from 10^12 on, or
/// with an exponent.
std::optional<std::int64_t> micros_of(std::string_view number);

}  // namespace cx
