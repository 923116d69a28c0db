#include "actors/audit/ndjson.hpp"

#include <google/protobuf/util/json_util.h>

namespace cx::audit {

std::string to_line(const v1::AuditEntry& entry) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string line;
  const auto printed = google::protobuf::util::MessageToJsonString(entry, &line, options);
  // Only a time out of range cannot be printed, and no log has one.
  if (!printed.ok()) line = "{\"sequence\":\"" + std::to_string(entry.sequence()) + "\"}";
  return line + '\n';
}

Result<v1::AuditEntry> from_line(std::string_view line) {
  v1::AuditEntry entry;
  const auto read = google::protobuf::util::JsonStringToMessage({line.data(), line.size()}, &entry);
  if (read.ok()) return entry;
  return Error{Code::invalid_argument, "invalid-audit-line",
               "This is no entry of an audit log: " + read.ToString() + ". Export the log again.", ""};
}

}  // namespace cx::audit
