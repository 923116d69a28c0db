#pragma once

#include <string>

#include "cx/v1/customer.pb.h"
#include "runtime/projection/projection.hpp"
#include "runtime/projection/sqlite_sink.hpp"

namespace cx {

/// The entry that an event of a customer's record makes, without its details, which are a JSON object beside
/// it.
struct TimelineRow {
  v1::TimelineEntry entry;
  std::string details;
};
/// None for an event that makes none (bids). internal "corrupt" if this build cannot read it.
Result<std::optional<TimelineRow>> timeline_row(const v1::JournalRecord& record, std::string_view event);

/// What happened to customers as rows of an SQLite file (<data>/projections/customers.db), where a
/// TimelineReader finds them: one for each event of the customer entity that has a number. The rows stay when
/// the journal forgets, through a rebuild too, so the file is part of what a backup has to hold; what is
/// older than 13 months is removed as new rows come. Bids make no rows.
class CustomerTimeline final : public Projection {
 public:
  static constexpr std::int64_t kKept = 396LL * 24 * 3'600'000;  ///< milliseconds

  explicit CustomerTimeline(std::string path);

  const std::string& name() const override { return name_; }
  std::uint32_t version() const override { return 1; }
  Sink& sink() override { return sink_; }
  std::span<const std::string> kinds() const override { return {&kind_, 1}; }
  std::optional<Error> project(std::span<const v1::JournalRecord> records) override;
  /// Where the journal does not have them any more, and a file from a backup neither: readers do not wait for
  /// them.
  bool uses_bases() const override { return true; }
  std::optional<Error> project_base(const v1::Snapshot& base) override;

 private:
  const std::string name_ = "customers", kind_ = "customer";
  SqliteSink sink_;
};

}  // namespace cx
