#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

namespace cx {

/// Where a shard's log stands. `first` is the oldest record that is still kept, `last` the newest; an empty
/// log has last = first - 1. Sequences start at 1 and are contiguous.
struct Head {
  std::uint64_t epoch = 0;
  std::uint64_t first = 1;
  std::uint64_t last = 0;
  bool operator==(const Head&) const = default;
};

/// What is kept beside the log of a shard, ordered by key. All of it follows from the log; it is written with
/// it.
enum class Table : std::uint8_t {
  snapshots,     ///< key: address; v1::Snapshot
  bases,         ///< key: address; v1::Snapshot of what truncation took away
  reminders,     ///< key: reminder_key; v1::ReminderEntry
  outbox,        ///< key: outbox_key; v1::OutboxEntry
  dead_letters,  ///< key: outbox_key; v1::DeadLetter
  meta,          ///< key: a name
};
inline constexpr std::size_t kTables = 6;

/// Sets a row, or erases it.
struct Write {
  Table table;
  std::string key;
  std::optional<std::string> value;
};

/// What one writer wants committed to one shard: all of it or nothing.
struct Append {
  std::uint32_t shard = 0;
  std::uint64_t epoch = 0;  ///< that the writer opened the shard in
  std::uint64_t after = 0;  ///< sequence of the last record that the writer saw: its records follow it
  std::vector<std::string> records;  ///< serialised v1::JournalRecord, numbered after + 1, after + 2, ...
  std::vector<Write> writes;
  bool followed = false;  ///< whether some projection waits for such records
};

struct RowKey {
  std::uint32_t shard;
  std::string_view key;
};

/// The log of every shard that this node holds, and the tables beside it. Every method may block and may be
/// called from any thread; none is to be called on an actor's. An error of type "fenced" means that somebody
/// opened the shard in a newer epoch or appended to it since; "corrupt" that what is stored cannot be read;
/// "disk-full", "read-only" and "storage-failed" that the disk refused. After one of the latter three whether
/// the append took place is unknown, and the journal refuses appends until open() has found out.
class Journal {
 public:
  virtual ~Journal() = default;

  /// Takes each shard in `epoch`, or in the one after its last where none is given. From then on appends of
  /// older epochs are refused. An epoch below the shard's is refused as "fenced".
  virtual std::vector<Result<Head>> open(std::span<const std::uint32_t> shards,
                                         std::optional<std::uint64_t> epoch) = 0;

  /// Commits appends, each atomically, in one go; the result has one entry for each. With `sync`, what
  /// succeeded survives a loss of power when this returns; without, only of the process. Refuses as "fenced"
  /// an append whose epoch is not the shard's or whose `after` is not its last sequence. Several appends may
  /// be to one shard, in order.
  virtual std::vector<std::optional<Error>> append(std::span<const Append> appends, bool sync) = 0;

  /// Makes everything appended so far survive a loss of power.
  virtual std::optional<Error> sync() = 0;

  /// Where the shard's log stands; as opened last, or as found.
  virtual Result<Head> head(std::uint32_t shard) const = 0;

  /// Calls `visit` with every record after `after`, in order, until it returns false.
  using VisitRecord = std::function<bool(std::uint64_t sequence, std::string_view record)>;
  virtual std::optional<Error> read(std::uint32_t shard, std::uint64_t after,
                                    const VisitRecord& visit) const = 0;

  /// The rows of one table, in the order of the keys; nothing where there is none.
  virtual std::vector<Result<std::optional<std::string>>> get(Table table,
                                                              std::span<const RowKey> keys) const = 0;

  /// Calls `visit` with every row of a shard from key `from` on, in order, until it returns false.
  using VisitRow = std::function<bool(std::string_view key, std::string_view value)>;
  virtual std::optional<Error> scan(Table table, std::uint32_t shard, std::string_view from,
                                    const VisitRow& visit) const = 0;

  /// Forgets the records up to and including `upto`, after setting the rows of `bases` that replace them.
  virtual std::optional<Error> truncate(std::uint32_t shard, std::uint64_t upto,
                                        std::span<const Write> bases) = 0;

  /// Handed to the storage since the journal was made, keys included.
  virtual std::uint64_t bytes_written() const = 0;
};

/// Big-endian, so that keys sort as numbers do.
std::string reminder_key(std::int64_t due, std::string_view entity, std::string_view name);
std::string outbox_key(std::uint64_t sequence, std::uint32_t index);
/// The due time of a reminder_key; the sequence of an outbox_key.
std::int64_t key_number(std::string_view key);

}  // namespace cx
