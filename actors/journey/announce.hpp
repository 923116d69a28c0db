#pragma once

#include "runtime/projection/announcement.hpp"

namespace cx::journey {

/// What others are told of a journey's instance: what is added to its path (v1::PathEntry), by what it says;
/// "noted" where that is no name. The step of an entry is known where the record says it.
Result<std::vector<Announcement>> announce_run(const v1::JournalRecord& record);

}  // namespace cx::journey
