#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "runtime/catalog/store.hpp"
#include "runtime/journal/jetstream_journal.hpp"

namespace cx {

// From the storage of a node that stood alone to that of a cluster. The node is stopped, and no node of the
// cluster runs. The old storage is only read. Whatever stops a migration, starting it again goes on with what
// is left; what it answers at last was compared on both sides, byte for byte.

struct MigrationProgress {
  std::string_view stage;  ///< "shards", "verifying shards", "documents", "verifying documents"
  std::uint64_t done = 0;  ///< of `all`
  std::uint64_t all = 0;   ///< 0: not known
};
/// False stops the migration: "interrupted".
using OnMigration = std::function<bool(const MigrationProgress&)>;

struct Migrated {
  std::uint64_t shards = 0;   ///< that had anything in them
  std::uint64_t skipped = 0;  ///< of these: done by an earlier run
  std::uint64_t records = 0, rows = 0;
  std::uint64_t bytes = 0;  ///< of records and rows
};

/// Copies records, rows and epochs of all shards. Errors: "not-empty" (the cluster has other data),
/// "interrupted", "verification-failed" (the copy differs: do not use it), and those of both journals.
Result<Migrated> migrate_journal(const Journal& from, JetStreamJournal& to, const OnMigration& progress);

/// Copies every revision of every document; answers how many there are. Their changes are numbered anew, in
/// the same order. Errors as above.
Result<std::uint64_t> migrate_documents(const DocumentStore& from, DocumentStore& to,
                                        const OnMigration& progress);

}  // namespace cx
