#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cx/v1/audit.pb.h"
#include "cx/v1/bidding.pb.h"
#include "runtime/environment/executor.hpp"
#include "runtime/projection/sqlite_reader.hpp"
#include "runtime/services.hpp"

namespace cx {

/// What is asked of the file that an AuditArchive fills, each within one tenant. Thread-safe; blocks. Errors
/// of all: those of SqliteReader; `deadline` as there.
class AuditReader {
 public:
  static constexpr std::size_t kExportBytes = 3'000'000;  ///< after which a reply of export_lines ends

  /// The clock outlives the reader.
  AuditReader(std::string path, const Clock& clock) : reader_(std::move(path), clock) {}

  /// invalid_argument "invalid-page-token", "invalid-time".
  Result<v1::ListAuditReply> list(const std::string& tenant, const v1::ListAuditRequest& request,
                                  std::int64_t deadline) const;
  /// not_found "no-such-entry".
  Result<v1::AuditEntry> get(const std::string& tenant, std::uint64_t sequence, std::int64_t deadline) const;
  Result<v1::RawBody> export_lines(const std::string& tenant, const v1::ExportAuditRequest& request,
                                   std::int64_t deadline) const;

 private:
  SqliteReader reader_;
};

/// Serves cx.v1.AuditLog's methods but Head, which is the entity's, from `reader` on threads of `executor`;
/// both outlive the services.
void add_audit(Services& services, const AuditReader& reader, Executor& executor);

}  // namespace cx
