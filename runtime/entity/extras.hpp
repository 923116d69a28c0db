#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cx/v1/journal.pb.h"

namespace cx {

/// What the runtime keeps of an entity beside its state: the reminders that are set, and the messages that it
/// has handled. It follows from the entity's records, as the state does.
struct Extras {
  struct Timer {
    std::string name;
    std::int64_t due;
  };
  std::vector<Timer> reminders;
  std::vector<v1::SeenSource> seen;

  /// The due time of a reminder; 0 when it is not set.
  std::int64_t due(std::string_view name) const;
  void set(std::string_view name, std::int64_t due);
  void clear(std::string_view name);

  /// The reply to a message that was handled; null when it was not. A reply that nobody may ask for again is
  /// empty.
  const v1::TypedBytes* reply_to(std::string_view source, std::uint64_t sequence) const;
  /// Whether a message of this source is remembered.
  bool knows(std::string_view source) const;
  /// Notes a message as handled, and forgets those of its source that are settled. Of clients, the 64 that
  /// were heard last are remembered.
  void handled(const v1::MessageId& id, const v1::TypedBytes& reply);

  /// What a record did to this.
  void apply(const v1::JournalRecord& record);
  void save(v1::Snapshot& snapshot) const;
  void load(const v1::Snapshot& snapshot);
  bool empty() const { return reminders.empty() && seen.empty(); }
};

}  // namespace cx
