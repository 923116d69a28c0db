#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cx/v1/customer.pb.h"
#include "runtime/entity/ask.hpp"
#include "runtime/environment/executor.hpp"
#include "runtime/projection/sqlite_reader.hpp"
#include "runtime/services.hpp"

namespace cx {

/// What is asked of the file that a CustomerTimeline fills. Thread-safe; blocks.
class TimelineReader {
 public:
  /// The clock outlives the reader.
  TimelineReader(std::string path, const Clock& clock) : clock_(clock), reader_(std::move(path), clock) {}

  /// Entries of a customer, the newest first; none while the file lacks some of those that the customer has
  /// made, `made`. A page ends early rather than be larger than some 3 MB. Errors: those of SqliteReader,
  /// `deadline` as there, but not "not-ready", which is as good as lacking; invalid_argument
  /// "invalid-page-token".
  Result<std::optional<v1::TimelinePage>> list(const std::string& tenant, const v1::GetTimeline& request,
                                               const v1::Entries& made, std::int64_t deadline) const;
  const Clock& clock() const { return clock_; }

 private:
  const Clock& clock_;
  SqliteReader reader_;
};

/// Serves cx.v1.Customers.Timeline: asks the customer how far its timeline goes, and reads it on a thread of
/// `executor`. Where the file does not go as far yet, `later` has it read again (see Later: every 10 ms or
/// so), for two seconds at most: unavailable "timeline-behind". All outlive the services.
void add_timeline(Services& services, const TimelineReader& reader, Executor& executor, Executor& later,
                  AskEntity ask);

}  // namespace cx
