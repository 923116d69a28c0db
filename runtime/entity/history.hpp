#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cx/v1/journal.pb.h"
#include "runtime/entity/extras.hpp"
#include "runtime/entity/kind.hpp"
#include "runtime/journal/journal.hpp"

namespace cx {

// What the journal remembers of one entity. These functions block: they read the log of the entity's shard
// from its oldest record on. Errors are those of route() and of the journal.

struct HistoryQuery {
  std::uint64_t after = 0;                 ///< only records after this sequence number
  std::size_t limit = 50;                  ///< 1 or more
  std::optional<std::int64_t> since = {};  ///< only records of this time or later, Unix milliseconds
  std::optional<std::int64_t> until = {};  ///< only records before this time
};

struct HistoryPage {
  std::vector<v1::JournalRecord> records;  ///< the newest last
  std::uint64_t next = 0;                  ///< to be `after` for the next page; 0 when this is the last
  /// Records of the shard up to this one are no longer kept, some of this entity among them; 0 when none is
  /// missing.
  std::uint64_t forgotten = 0;
};

Result<HistoryPage> history(const Journal& journal, const Kinds& kinds, std::string_view address,
                            const HistoryQuery& query);

/// A point in an entity's past: the end of its longest run of records from the first on that are all within
/// both.
struct Moment {
  std::int64_t time = std::numeric_limits<std::int64_t>::max();  ///< Unix milliseconds
  std::uint64_t sequence = std::numeric_limits<std::uint64_t>::max();
};

/// An entity as it was.
struct Past {
  std::uint64_t sequence = 0;  ///< of its last record by then; 0 where it had none
  std::int64_t at = 0;  ///< of that record, or of the base that stands for it, Unix milliseconds; 0 without
  std::unique_ptr<Entity> entity;
  Extras extras;
};

/// The entity as it was before the oldest record that is kept.
Result<Past> base_of(const Journal& journal, const Kinds& kinds, std::string_view address);
/// Takes it one record further.
std::optional<Error> advance(Past& past, const v1::JournalRecord& record);

/// Has the entity decide once more what `record`, which follows `past`, decided, from all that the decision
/// was made from; takes it on to the record. The decision, which differs from the record's only if the kind
/// has changed since, or is not pure. Of a record that has a command.
Result<Decision> decide_again(Past& past, const EntityKind& kind, const v1::JournalRecord& record);

/// Folds what the log holds of an entity. "not-retained", with the oldest moment that is left, where the
/// records of that time are no longer kept.
Result<Past> past_of(const Journal& journal, const Kinds& kinds, std::string_view address,
                     const Moment& moment);

}  // namespace cx
