#pragma once

#include "runtime/projection/announcement.hpp"

namespace cx {

/// What others are told of a customer: the entries of the timeline (v1::TimelineEntry, details included), by
/// their types.
Result<std::vector<Announcement>> announce_customer(const v1::JournalRecord& record);

}  // namespace cx
