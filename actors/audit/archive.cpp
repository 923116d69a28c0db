#include "actors/audit/archive.hpp"

#include "actors/audit/audit.hpp"
#include "actors/audit/chain.hpp"
#include "runtime/projection/unreadable.hpp"

namespace cx {
namespace {

// `sequence` in the indices gives what a filter finds in the order of a list. Hardly anything is refused.
constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS entries (
  tenant TEXT NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, method TEXT NOT NULL,
  resource TEXT NOT NULL, outcome TEXT NOT NULL, entry BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS entries_key ON entries (tenant, sequence);
CREATE INDEX IF NOT EXISTS entries_at ON entries (tenant, at, sequence);
CREATE INDEX IF NOT EXISTS entries_actor ON entries (tenant, actor, sequence);
CREATE INDEX IF NOT EXISTS entries_method ON entries (tenant, method, sequence);
CREATE INDEX IF NOT EXISTS entries_resource ON entries (tenant, resource, sequence);
CREATE INDEX IF NOT EXISTS entries_refused ON entries (tenant, sequence) WHERE outcome = 'refused';
)";

}  // namespace

AuditArchive::AuditArchive(std::string path) : sink_(std::move(path), kSchema, SqliteSink::Reset::keep) {}

std::optional<Error> AuditArchive::project(std::span<const v1::JournalRecord> records) {
  v1::AuditAppended event;
  for (const auto& record : records) {
    for (const auto& bytes : record.events()) {
      if (!event.ParseFromString(bytes)) return unreadable(record);
      const auto& entry = event.entry();
      if (record.entity() != "audit/" + entry.tenant() + '/' + std::string(Audit::kKey)) continue;
      const auto stored = entry.SerializeAsString();
      // What a rebuild brings again is put right, should somebody have changed it here.
      if (auto error = sink_.run(
              "INSERT INTO entries (tenant, sequence, at, actor, method, resource, outcome, entry)"
              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
              " ON CONFLICT (tenant, sequence) DO UPDATE SET at = ?3, actor = ?4, method = ?5, resource = ?6,"
              " outcome = ?7, entry = ?8",
              {std::string_view(entry.tenant()), static_cast<std::int64_t>(entry.sequence()),
               audit::whole_ms(entry.at()).value_or(0), std::string_view(entry.actor()),
               std::string_view(entry.method()), std::string_view(entry.resource()),
               std::string_view(entry.outcome()), sqlite::Blob{stored}}))
        return error;
    }
  }
  return std::nullopt;
}

}  // namespace cx
