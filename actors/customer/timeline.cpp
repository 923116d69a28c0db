#include "actors/customer/timeline.hpp"

#include <algorithm>
#include <google/protobuf/util/time_util.h>

#include "actors/condition/time.hpp"
#include "actors/customer/event_type.hpp"
#include "cx/v1/customer.pb.h"
#include "runtime/address.hpp"
#include "runtime/json.hpp"
#include "runtime/projection/unreadable.hpp"

namespace cx {
namespace {

using google::protobuf::util::TimeUtil;
using sqlite::Value;

// `entry` is a TimelineEntry but for its number and details, which are JSON. Up to number `upto` of `gone`
// the journal had forgotten a customer's entries before they could be seen here.
constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS timeline (
  tenant TEXT NOT NULL, customer TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, entry BLOB NOT NULL,
  details TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS timeline_key ON timeline (tenant, customer, number);
CREATE INDEX IF NOT EXISTS timeline_at ON timeline (at);
CREATE TABLE IF NOT EXISTS gone (
  tenant TEXT NOT NULL, customer TEXT NOT NULL, upto INTEGER NOT NULL, PRIMARY KEY (tenant, customer)) WITHOUT ROWID;
)";

// The first byte of an event's bytes tells which it is, as its number in the contract follows it.
bool is_entry(std::string_view event) {
  if (event.empty()) return false;
  const auto field = static_cast<unsigned char>(event[0]) >> 3;
  return field >= v1::CustomerEvent::kTakenFieldNumber && field <= v1::CustomerEvent::kMessageFieldNumber;
}

/// A JSON object of what is not empty.
class Details {
 public:
  void add(std::string_view name, std::string_view text) {
    if (text.empty()) return;
    begin(name);
    append_json(out_, text);
  }
  void add(std::string_view name, std::uint64_t number) {
    if (number == 0) return;
    begin(name);
    out_ += std::to_string(number);
  }
  void add_time(std::string_view name, std::int64_t unix_ms) {
    if (unix_ms != 0) add(name, condition::time_text(unix_ms));
  }
  std::string take() { return std::move(out_ += '}'); }

 private:
  void begin(std::string_view name) {
    if (out_.size() > 1) out_ += ',';
    append_json(out_, name);
    out_ += ':';
  }
  std::string out_ = "{";
};

std::string channel_text(v1::Channel channel) {
  return channel == v1::CHANNEL_UNSPECIFIED ? "" : v1::Channel_Name(channel);
}

/// Fills the entry and returns its details.
std::string describe(const v1::EventTaken& taken, const v1::JournalRecord& record, v1::TimelineEntry& out) {
  *out.mutable_happened() = TimeUtil::MillisecondsToTimestamp(taken.at());
  out.set_type(word_of(taken.type()));
  v1::TakeEvent event;
  if (record.command().type() != v1::TakeEvent::descriptor()->full_name() ||
      !event.ParseFromString(record.command().bytes()))
    return "{}";
  out.set_name(event.name());
  out.set_id(event.event_id());
  out.set_source(event.source());
  return event.properties().empty() ? "{}" : event.properties();
}
std::string describe(const v1::ConsentSet& set, const v1::JournalRecord& record, v1::TimelineEntry& out) {
  out.set_type("consent");
  out.set_name(set.consent().granted() ? "granted" : "withdrawn");
  out.set_source(record.actor());
  Details details;
  details.add("purpose", set.consent().purpose());
  details.add("channel", channel_text(set.consent().channel()));
  details.add("origin", set.consent().origin());
  return details.take();
}
std::string describe(const v1::SuppressionSet& set, const v1::JournalRecord& record, v1::TimelineEntry& out) {
  out.set_type("suppression");
  out.set_name(set.removed() ? "lifted" : "suppressed");
  out.set_source(record.actor());
  Details details;
  details.add("channel", channel_text(set.suppression().channel()));
  details.add("reason", v1::SuppressionReason_Name(set.suppression().reason()));
  details.add_time("until", set.suppression().until());
  return details.take();
}
std::string describe(const v1::RunChanged& changed, const v1::JournalRecord&, v1::TimelineEntry& out) {
  out.set_type("journey");
  out.set_name(changed.what());
  Details details;
  details.add("journey", changed.run().journey());
  details.add("key", changed.run().key());
  details.add("revision", changed.run().revision());
  details.add("run", changed.run().run());
  details.add("reason", changed.reason());
  return details.take();
}
std::string describe(const v1::MessageChanged& changed, const v1::JournalRecord&, v1::TimelineEntry& out) {
  out.set_type("message");
  out.set_name(changed.what());
  out.set_id(changed.message_id());
  Details details;
  details.add("journey", changed.journey());
  details.add("step", changed.step());
  details.add("channel", channel_text(changed.channel()));
  details.add("purpose", changed.purpose());
  details.add("rule", changed.rule());
  details.add("detail", changed.detail());
  details.add_time("until", changed.until());
  details.add("vendor_id", changed.vendor_id());
  return details.take();
}

std::string describe(const v1::CustomerEvent& event, const v1::JournalRecord& record,
                     v1::TimelineEntry& out) {
  switch (event.event_case()) {
    case v1::CustomerEvent::kTaken:
      return describe(event.taken(), record, out);
    case v1::CustomerEvent::kConsent:
      return describe(event.consent(), record, out);
    case v1::CustomerEvent::kSuppression:
      return describe(event.suppression(), record, out);
    case v1::CustomerEvent::kRun:
      return describe(event.run(), record, out);
    case v1::CustomerEvent::kMessage:
      return describe(event.message(), record, out);
    default:
      return "{}";
  }
}

}  // namespace

Result<std::optional<TimelineRow>> timeline_row(const v1::JournalRecord& record, std::string_view bytes) {
  if (!is_entry(bytes)) return std::optional<TimelineRow>();
  v1::CustomerEvent event;
  if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return unreadable(record);
  TimelineRow row;
  *row.entry.mutable_at() = TimeUtil::MillisecondsToTimestamp(record.now());
  row.details = describe(event, record, row.entry);
  row.entry.set_number(event.number());
  return std::optional(std::move(row));
}

CustomerTimeline::CustomerTimeline(std::string path)
    : sink_(std::move(path), kSchema, SqliteSink::Reset::keep) {}

std::optional<Error> CustomerTimeline::project(std::span<const v1::JournalRecord> records) {
  std::int64_t rows = 0, now = 0;
  for (const auto& record : records) {
    for (const auto& bytes : record.events()) {
      auto row = timeline_row(record, bytes);
      if (!row) return row.error();
      if (!*row) continue;
      const auto address = parse_address(record.entity());
      if (!address) return address.error();
      auto& entry = (*row)->entry;
      const auto number = static_cast<std::int64_t>(entry.number());
      entry.clear_number();
      const auto stored = entry.SerializeAsString();
      if (auto error = sink_.run(
              "INSERT INTO timeline (tenant, customer, number, at, entry, details)"
              " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
              " ON CONFLICT (tenant, customer, number) DO UPDATE SET at = ?4, entry = ?5, details = ?6",
              {std::string_view(address->tenant), std::string_view(address->key), number, record.now(),
               sqlite::Blob{stored}, std::string_view((*row)->details)}))
        return error;
      ++rows;
      now = std::max(now, record.now());
    }
  }
  if (rows == 0) return std::nullopt;
  // More than come, so that a backlog is worked off, and not so many that anybody would wait for it.
  return sink_.run(
      "DELETE FROM timeline WHERE rowid IN (SELECT rowid FROM timeline WHERE at < ?1 ORDER BY at LIMIT ?2)",
      {now - kKept, 2 * rows + 100});
}

std::optional<Error> CustomerTimeline::project_base(const v1::Snapshot& base) {
  if (!base.entity().starts_with("customer/")) return std::nullopt;
  v1::CustomerState state;
  if (!state.ParseFromString(base.state()))
    return Error{Code::internal, "corrupt",
                 "The stored state of " + base.entity() +
                     " cannot be read by this build. Run the newer build that wrote it.",
                 ""};
  if (state.person().entries() == 0) return std::nullopt;
  const auto address = parse_address(base.entity());
  if (!address) return address.error();
  return sink_.run("INSERT OR REPLACE INTO gone (tenant, customer, upto) VALUES (?1, ?2, ?3)",
                   {std::string_view(address->tenant), std::string_view(address->key),
                    static_cast<std::int64_t>(state.person().entries())});
}

}  // namespace cx
