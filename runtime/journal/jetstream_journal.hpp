#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/journal/checkpoint.hpp"
#include "runtime/journal/log_writer.hpp"
#include "runtime/journal/replica.hpp"

namespace cx {

/// The journal of a cluster: the stream CLUSTER_journal is the log of all shards, and every node keeps a copy
/// of it (replica.hpp), which all reads come from. README.md describes the format. Several nodes use one
/// stream at once; an append is stored on the condition that nobody has written to its shard since.
///
/// Shards that another node writes may lag behind it here. Calls for different shards run side by side;
/// those for one shard wait for each other. An error "storage-failed" says that NATS did not answer in time:
/// the shard then refuses appends until open() has found out what became of the last one.
class JetStreamJournal final : public Journal {
 public:
  /// For tests that have to show that they would notice.
  struct Sabotage {
    bool no_fence = false;  ///< stores without conditions, and takes what does not fit
  };
  struct Parts {
    std::string directory;  ///< the copy is in `directory`/replica/journal
    Environment& environment;
    nats::JetStream& jetstream;
    std::string cluster;
    std::uint32_t replicas = 1;
    std::chrono::milliseconds patience{10'000};  ///< how long a call tries while NATS does not answer
    /// A checkpoint is made when a shard's messages since the last one take this many bytes and as many as
    /// that one.
    std::uint64_t checkpoint_bytes = std::uint64_t{4} << 20;
    Sabotage sabotage = {};
  };

  /// Creates the streams where they are absent, restores shards whose oldest messages are gone from
  /// checkpoints, follows the stream, and returns when it has caught up. Refuses a copy that is of another
  /// stream, or has messages that the stream does not, as "foreign-replica": it may be all that is left of
  /// them.
  static Result<std::unique_ptr<JetStreamJournal>> open(Parts parts);
  ~JetStreamJournal() override;

  std::vector<Result<Head>> open(std::span<const std::uint32_t> shards,
                                 std::optional<std::uint64_t> epoch) override;
  std::vector<std::optional<Error>> append(std::span<const Append> appends, bool sync) override;
  std::optional<Error> sync() override { return std::nullopt; }  // what is stored, the servers keep
  Result<Head> head(std::uint32_t shard) const override;
  std::optional<Error> read(std::uint32_t shard, std::uint64_t after,
                            const VisitRecord& visit) const override;
  std::vector<Result<std::optional<std::string>>> get(Table table,
                                                      std::span<const RowKey> keys) const override;
  std::optional<Error> scan(Table table, std::uint32_t shard, std::string_view from,
                            const VisitRow& visit) const override;
  std::optional<Error> truncate(std::uint32_t shard, std::uint64_t upto,
                                std::span<const Write> bases) override;
  std::uint64_t bytes_written() const override {
    return writer_.bytes_written() + checkpoints_.bytes_written();
  }

  /// `applied` is called with each shard that got records which a projection waits for from another node, and
  /// now and then with one of this node's own; on the follower's thread, quickly. To be set once, before
  /// anything is projected.
  void on_applied(std::function<void(std::uint32_t shard)> applied);

  /// Makes a checkpoint of a shard that this node owns and purges the messages that it replaces, if that is
  /// worth it (Parts::checkpoint_bytes) or `anyway`.
  std::optional<Error> checkpoint(std::uint32_t shard, bool anyway = false);

  /// Takes all of a shard from another journal, which nobody writes to meanwhile: records, rows and epoch.
  /// Answers whether anything was done: not if that was finished before. Where the shard has been written to
  /// since or by somebody else: "not-empty". Safe to interrupt and to repeat.
  Result<bool> adopt(std::uint32_t shard, const Journal& from);
  /// What it would answer, of every shard; "not-empty" where one cannot be taken.
  std::optional<Error> check_adoptable() const;

 private:
  class Hold;
  using Deadline = std::chrono::steady_clock::time_point;
  explicit JetStreamJournal(Parts parts);
  std::optional<Error> start();
  std::optional<Error> check_origin();
  std::optional<Error> restore_old();
  std::optional<Error> follow();
  Error foreign(const std::string& why) const;
  void end_following();
  std::optional<Error> reload();
  void arrived(nats::Stored&& stored);
  void flush();
  bool repair(std::uint32_t shard, std::uint64_t upto, std::vector<std::uint32_t>& followed);
  Deadline deadline() const { return std::chrono::steady_clock::now() + parts_.patience; }
  /// Stores entries, one for each shard, and takes what was stored; the attempts tell.
  void commit(std::span<Attempt> attempts, Deadline until);
  std::optional<Error> refusal(std::uint32_t shard) const;
  std::optional<Error> checked(std::uint32_t shard, std::optional<Error> error) const;
  void doubt(std::uint32_t shard, bool in_doubt);
  Result<bool> adopted(std::uint32_t shard) const;

  const Parts parts_;
  LogWriter writer_;
  Checkpoints checkpoints_;
  std::unique_ptr<Replica> replica_;

  mutable std::mutex mutex_;  // guards the three below
  std::condition_variable free_;
  std::array<bool, kShards> held_{};   // by a call that writes to it
  std::array<bool, kShards> doubt_{};  // what became of the last write is not known
  std::mutex checkpointing_;           // one at a time

  std::mutex applied_mutex_;
  std::function<void(std::uint32_t)> applied_;

  // Of the follower's thread.
  std::vector<nats::Stored> arrived_;
  std::size_t arrived_bytes_ = 0;
  std::uint64_t noted_ = 0;  // through() on disk
  std::atomic<bool> stopping_{false};
  std::mutex caught_up_mutex_;
  std::condition_variable caught_up_wake_;
  bool caught_up_ = false;
  std::uint64_t followed_ = 0;                // messages so far; for progress
  std::mutex following_;                      // guards the follower's coming and going
  std::unique_ptr<nats::Follower> follower_;  // last
};

}  // namespace cx
