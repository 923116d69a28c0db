#pragma once

#include "runtime/projection/announcement.hpp"

namespace cx::decision {

/// What others are told of a decision's record: v1::ReportedOutcome, of the type "click", say.
Result<std::vector<Announcement>> announce_outcome(const v1::JournalRecord& record);

}  // namespace cx::decision
