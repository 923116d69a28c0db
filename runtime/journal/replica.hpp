#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cx/v1/cluster.pb.h"
#include "runtime/journal/rocks_journal.hpp"

namespace cx {

/// A message of a shard's log, as the stream has it.
struct LogMessage {
  std::uint32_t shard = 0;
  std::uint64_t sequence = 0;  ///< in the stream
  v1::ShardEntry entry;
  std::size_t bytes = 0;  ///< that it takes in the stream, roughly
};

/// The records that `entry` adds to its shard's log, and the like; "corrupt" where it cannot be read.
Result<v1::ShardEntry> parse_entry(std::string_view bytes);

/// Cuts what it is given into pieces of a checkpoint of some 256 KiB.
class PieceCutter {
 public:
  using Piece = std::function<std::optional<Error>(v1::CheckpointPart&&)>;
  explicit PieceCutter(const Piece& piece) : piece_(piece) {}
  /// False when a piece was refused; finish() then says why.
  bool record(std::string_view record);
  bool row(Table table, std::string_view key, std::string_view value);
  std::optional<Error> finish();

 private:
  bool added(std::size_t bytes);
  const Piece& piece_;
  v1::CheckpointPart part_;
  std::size_t size_ = 0;
  std::optional<Error> refused_;
};

/// A node's copy of the logs of all shards, in a RocksJournal: a cache of the stream, which follows it
/// message by message and can be made anew from checkpoints and stream at any time. It knows nothing of NATS.
/// Thread-safe; every method but place(), through(), missing() and damage() may block.
///
/// A message is written together with the place in the stream that it brings its shard to, unsynced: what a
/// loss of power takes away is read again. Each message names the one before it, so a message that was missed
/// is noticed, and so is a stream that is not the one that was read before.
class Replica {
 public:
  /// Opens `directory`/journal. A copy that is damaged, or was found to differ from the stream, is deleted,
  /// with a warning in the log. `fenced`: whether messages must fit those before them; see Sabotage.
  static Result<std::unique_ptr<Replica>> open(const std::string& directory, Environment& environment,
                                               bool fenced = true);

  /// What is in it. Not to be written to.
  const RocksJournal& rocks() const { return *rocks_; }

  /// The stream that it is a copy of, by the name that its first message gives it; empty for a new one.
  const std::string& origin() const { return origin_; }
  std::optional<Error> set_origin(const std::string& origin);

  /// Where a shard stands.
  struct Place {
    Head head;
    std::uint64_t seen = 0;     ///< the last message of its subject that was taken
    std::uint64_t applied = 0;  ///< the same, without parts of one that is not complete
    std::uint64_t since = 0;    ///< bytes of messages since the newest checkpoint
    std::uint64_t base = 0;     ///< bytes of that checkpoint
    std::uint64_t attempt = 0;  ///< of `applied`; 0 when a checkpoint brought it
  };
  Place place(std::uint32_t shard) const;

  /// All messages of the stream up to this one were taken, and what the payload of that one hashes to.
  struct Through {
    std::uint64_t sequence = 0;
    std::uint64_t checksum = 0;
    bool operator==(const Through&) const = default;
  };
  Through through() const;

  /// Applies messages, each shard's in order; those that were taken before are passed over. Where messages
  /// before one are missing, it and the shard's later ones are left out and the shard is in `gaps`: restore
  /// it, then offer them again. `through` is noted unless there are gaps.
  struct Taken {
    std::vector<std::uint32_t> gaps;
    std::vector<std::uint32_t> followed;  ///< got records that a projection waits for
    std::optional<Error> error;           ///< of the disk: nothing was applied, and nothing is until reload()
  };
  Taken take(std::span<const LogMessage> messages, std::optional<Through> through);

  /// Waits until `sequence` of its subject was taken, or the time is up; whether it was.
  bool wait(std::uint32_t shard, std::uint64_t sequence, std::chrono::steady_clock::time_point until) const;

  /// Why a shard cannot be used now: its copy differs from the stream ("corrupt") or is being made anew
  /// ("unavailable"). The disk's errors, too.
  std::optional<Error> damage(std::uint32_t shard) const;
  /// Notes that the copy is not what it should be, so that the next open() starts afresh.
  void distrust(std::uint32_t shard, const std::string& why);

  /// After an error of the disk: looks what is there. Follow the stream from through() again.
  bool failed() const;
  std::optional<Error> reload();

  /// Replaces a shard by a checkpoint: begin, pieces in order, end. One shard at a time.
  std::optional<Error> begin_restore(std::uint32_t shard, std::uint64_t first);
  std::optional<Error> restore(const v1::CheckpointPart& piece);
  std::optional<Error> end_restore(const v1::Checkpoint& checkpoint, std::uint64_t bytes);

  /// Calls `piece` with pieces of a shard as of one moment; the answer says which. Goes on until one fails.
  Result<v1::Checkpoint> image(std::uint32_t shard,
                               const std::function<std::optional<Error>(v1::CheckpointPart&&)>& piece) const;
  /// A checkpoint of `bytes` was made of what the shard was when `since` was its Place::since.
  void checkpointed(std::uint32_t shard, std::uint64_t since, std::uint64_t bytes);

 private:
  struct Parts {
    std::uint64_t first = 0;  // message
    std::uint64_t attempt = 0;
    std::uint32_t next = 0, of = 0;
    std::string bytes;
  };
  struct Batch;
  Replica(bool fenced) : fenced_(fenced) {}
  std::optional<Error> load();
  void take_one(const LogMessage& message, Batch& batch);
  bool complete(const LogMessage& message, std::optional<v1::ShardEntry>& whole, Batch& batch);
  void apply(std::uint32_t shard, const v1::ShardEntry& entry, Batch& batch);
  void distrust_locked(std::uint32_t shard, const std::string& why, std::vector<Write>& own);

  const bool fenced_;
  std::string directory_;
  std::unique_ptr<RocksJournal> rocks_;
  std::string origin_;

  mutable std::mutex mutex_;  // guards what follows; held while messages are applied
  mutable std::condition_variable moved_;
  std::array<Place, kShards> places_;
  std::map<std::uint32_t, Parts> parts_;  // of messages that are not complete
  std::map<std::uint32_t, Error> damage_;
  std::optional<Error> failed_;
  Through through_;

  std::uint32_t restoring_ = kShards;  // by one thread
  std::uint64_t restored_ = 0;         // the last record so far
};

}  // namespace cx
