#include "actors/audit/reader.hpp"

#include <algorithm>
#include <charconv>
#include <google/protobuf/util/time_util.h>
#include <limits>
#include <vector>

#include "actors/audit/ndjson.hpp"
#include "runtime/on_executor.hpp"
#include "runtime/projection/page_token.hpp"

namespace cx {
namespace {

using google::protobuf::util::TimeUtil;
using sqlite::Value;

std::int64_t as_row_number(std::uint64_t sequence) {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(sequence, std::numeric_limits<std::int64_t>::max()));
}

Error corrupt(const std::string& tenant) {
  return {Code::internal, "corrupt",
          "A stored entry of the audit log of " + tenant + " cannot be read. Restore audit.db from a backup.",
          ""};
}

// The least text that is greater than all that begin with `prefix`, which is not empty; empty when there is
// none.
std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

// Milliseconds, rounded up: what is stored is whole ones, and a bound between two lets through the later one.
Result<std::int64_t> bound(const google::protobuf::Timestamp& time, const char* pointer) {
  const auto out_of_range = [](std::int64_t n, std::int64_t min, std::int64_t max) {
    return n < min || n > max;
  };
  if (out_of_range(time.seconds(), TimeUtil::kTimestampMinSeconds, TimeUtil::kTimestampMaxSeconds) ||
      out_of_range(time.nanos(), 0, 999'999'999))
    return Error{Code::invalid_argument, "invalid-time",
                 std::string(pointer + 1) + " is out of the range of times.", pointer};
  return time.seconds() * 1'000 + (time.nanos() + 999'999) / 1'000'000;
}

// A WHERE clause of fixed texts, with what strangers chose as its parameters.
class Where {
 public:
  void add(const std::string& condition) { sql_ += (sql_.empty() ? " WHERE " : " AND ") + condition; }
  // `condition` ends in the "?" that stands for the value.
  void add(const char* condition, Value value) {
    values_.push_back(value);
    add(condition + std::to_string(values_.size()));
  }
  const std::string& sql() const { return sql_; }
  std::string limit(std::int64_t rows) {
    values_.push_back(rows);
    return " LIMIT ?" + std::to_string(values_.size());
  }
  const std::vector<Value>& values() const { return values_; }

 private:
  std::string sql_;
  std::vector<Value> values_;
};

}  // namespace

Result<v1::ListAuditReply> AuditReader::list(const std::string& tenant, const v1::ListAuditRequest& request,
                                             std::int64_t deadline) const {
  auto after = as_row_number(request.after_sequence());
  const auto position = page_position(request, tenant);
  if (!position) return position.error();
  if (!position->empty()) {
    std::int64_t token = 0;
    const auto* end = position->data() + position->size();
    if (const auto read = std::from_chars(position->data(), end, token);
        read.ec != std::errc() || read.ptr != end)
      return invalid_page_token();
    after = std::max(after, token);
  }

  // An index on an equal value gives its rows in order: the first that fit are the page. Without one, an
  // index on a range is walked for its numbers alone, which are sorted. A unary plus keeps SQLite, which
  // cannot know how many rows fit, from choosing otherwise.
  const bool by_value =
      !request.actor().empty() || !request.method().empty() || request.outcome() == "refused";
  const bool by_range =
      !by_value && (request.has_since() || request.has_until() || !request.resource_prefix().empty());
  Where where;
  where.add("tenant = ?", std::string_view(tenant));
  where.add(by_range ? "+sequence > ?" : "sequence > ?", after);
  if (request.has_since()) {
    const auto since = bound(request.since(), "/since");
    if (!since) return since.error();
    where.add(by_range ? "at >= ?" : "+at >= ?", *since);
  }
  if (request.has_until()) {
    const auto until = bound(request.until(), "/until");
    if (!until) return until.error();
    where.add(by_range ? "at < ?" : "+at < ?", *until);
  }
  if (!request.actor().empty()) where.add("actor = ?", std::string_view(request.actor()));
  if (!request.method().empty()) where.add("method = ?", std::string_view(request.method()));
  // Not as a parameter: only so the index of what was refused can be used.
  if (request.outcome() == "refused")
    where.add("outcome = 'refused'");
  else if (!request.outcome().empty())
    where.add("outcome = ?", std::string_view(request.outcome()));
  const auto prefix_end = after_prefix(request.resource_prefix());
  if (!request.resource_prefix().empty()) {
    where.add(by_range ? "resource >= ?" : "+resource >= ?", std::string_view(request.resource_prefix()));
    if (!prefix_end.empty())
      where.add(by_range ? "resource < ?" : "+resource < ?", std::string_view(prefix_end));
  }
  const auto rows = page_rows(request.page_size());
  const auto limit = where.limit(rows + 1);
  const auto sql = "SELECT entry FROM entries WHERE rowid IN (SELECT rowid FROM entries" + where.sql() +
                   " ORDER BY sequence" + limit + ") ORDER BY sequence";

  v1::ListAuditReply reply;
  bool more = false, readable = true;
  const auto error = reader_.read(sql, where.values(), deadline, [&](const sqlite::Row& row) {
    more = reply.entries_size() == rows;
    if (more) return false;
    const auto bytes = row.blob(0);
    readable = reply.add_entries()->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return readable;
  });
  if (error) return *error;
  if (!readable) return corrupt(tenant);
  if (more)
    reply.set_next_page_token(
        make_page_token(request, tenant, std::to_string(reply.entries(reply.entries_size() - 1).sequence())));
  return reply;
}

Result<v1::AuditEntry> AuditReader::get(const std::string& tenant, std::uint64_t sequence,
                                        std::int64_t deadline) const {
  v1::AuditEntry entry;
  bool found = false, readable = false;
  const Value values[] = {std::string_view(tenant), as_row_number(sequence)};
  const auto error = reader_.read("SELECT entry FROM entries WHERE tenant = ?1 AND sequence = ?2", values,
                                  deadline, [&](const sqlite::Row& row) {
                                    const auto bytes = row.blob(0);
                                    found = true;
                                    readable =
                                        entry.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
                                    return false;
                                  });
  if (error) return *error;
  if (!found)
    return Error{Code::not_found, "no-such-entry",
                 "The audit log has no entry " + std::to_string(sequence) +
                     ". The head of the log tells the last one; a new one takes a second to appear.",
                 "/sequence"};
  if (!readable) return corrupt(tenant);
  return entry;
}

Result<v1::RawBody> AuditReader::export_lines(const std::string& tenant,
                                              const v1::ExportAuditRequest& request,
                                              std::int64_t deadline) const {
  const std::int64_t limit = request.limit() <= 0 ? 1'000 : std::min(request.limit(), 10'000);
  v1::RawBody reply;
  reply.set_content_type("application/x-ndjson");
  auto& body = *reply.mutable_body();
  v1::AuditEntry entry;
  bool readable = true;
  const Value values[] = {std::string_view(tenant), as_row_number(request.after_sequence()), limit};
  const auto error =
      reader_.read("SELECT entry FROM entries WHERE tenant = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
                   values, deadline, [&](const sqlite::Row& row) {
                     const auto bytes = row.blob(0);
                     readable = entry.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
                     if (readable) body += audit::to_line(entry);
                     return readable && body.size() < kExportBytes;
                   });
  if (error) return *error;
  if (!readable) return corrupt(tenant);
  return reply;
}

void add_audit(Services& services, const AuditReader& reader, Executor& executor) {
  services.add("cx.v1.AuditLog.List", read_on<v1::ListAuditRequest>(
                                          executor, [&reader](const CallContext& call, const auto& request) {
                                            return reader.list(call.caller->tenant, request, call.deadline);
                                          }));
  services.add(
      "cx.v1.AuditLog.Get",
      read_on<v1::GetAuditEntryRequest>(executor, [&reader](const CallContext& call, const auto& request) {
        return reader.get(call.caller->tenant, request.sequence(), call.deadline);
      }));
  services.add(
      "cx.v1.AuditLog.Export",
      read_on<v1::ExportAuditRequest>(executor, [&reader](const CallContext& call, const auto& request) {
        return reader.export_lines(call.caller->tenant, request, call.deadline);
      }));
}

}  // namespace cx
