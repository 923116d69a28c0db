#pragma once

#include <atomic>
#include <bitset>
#include <map>
#include <mutex>

#include "runtime/environment/serial_task.hpp"
#include "runtime/projection/projector.hpp"

namespace cx {

/// One projection of a Projector, taking turns on the executor. Operators and the commit path leave it notes;
/// all else belongs to the turn.
class Runner {
 public:
  Runner(Projection& projection, Journal& journal, Executor& executor, const Clock& clock,
         const ProjectorOptions& options);

  void notify(std::uint32_t shard);
  void poll();
  void pause(bool paused);
  void rebuild();
  std::optional<Error> skip(std::uint32_t shard, std::uint64_t sequence);
  std::uint64_t durable(std::uint32_t shard) const { return durable_[shard].load(std::memory_order_acquire); }
  ProjectionStatus status() const;

 private:
  using Shards = std::bitset<kShards>;
  struct Notes {
    bool paused = false, poll = true, rebuild = false;
    std::vector<CursorMove> skips;
  };
  /// What stands in the way of something, and when to try again.
  struct Trouble {
    std::optional<Error> error;
    std::uint32_t attempts = 0;
    SteadyTime retry_at{};
  };
  /// A shard with a batch that failed: its records are tried one by one to find the one that does.
  struct Suspect : Trouble {
    std::size_t limit = 1;
  };

  bool turn();
  void load();
  std::optional<Error> reset();
  void restart(const Cursors& cursors);
  void restart(std::uint32_t shard, std::uint64_t cursor);
  void leave(std::uint32_t shard);
  void look_for_shards();
  bool look(std::uint32_t shard);
  void poll_now();
  std::int64_t oldest_age();
  void skip_now(const CursorMove& record);
  void step();
  bool project(std::uint32_t shard, std::size_t limit, std::vector<CursorMove>& moves);
  std::optional<Error> project_bases(std::uint32_t shard);
  bool commit(std::span<const CursorMove> moves);
  void suspect(std::uint32_t shard, std::size_t records, Error error);
  void sink_failed(Error error);
  void retry_later(Trouble& trouble, Error error);
  bool due(const Trouble& trouble) const { return clock_.steady() >= trouble.retry_at; }
  std::optional<std::uint32_t> suspect_to_try() const;
  Shards healthy() const;
  void publish(bool paused);

  Projection& projection_;
  Journal& journal_;
  const Clock& clock_;
  const ProjectorOptions options_;
  std::array<std::atomic<std::uint64_t>, kShards> durable_{};
  std::array<std::atomic<std::uint64_t>, kShards / 64> notified_{};

  // Of the turn.
  bool loaded_ = false, rebuilding_ = false;
  bool unsynced_ = false;  // something was committed since the last sync
  Cursors cursors_{};
  std::array<Head, kShards> heads_{};              // as seen last
  Shards taken_;                                   // are this node's to project
  Shards ready_;                                   // of those: may have records after the cursor
  Shards unbased_;                                 // begin with what truncation has left
  std::uint32_t next_ = 0;                         // the shard that is first in the next turn
  std::size_t records_left_ = 0, bytes_left_ = 0;  // of this turn's bounds
  Trouble sink_;
  std::map<std::uint32_t, Suspect> suspects_;
  std::map<std::uint32_t, std::pair<std::uint64_t, std::int64_t>>
      oldest_;                              // by shard: cursor, and when the next was
  std::vector<v1::JournalRecord> records_;  // kept for their memory
  SteadyTime measured_at_, synced_at_;
  std::uint64_t measured_ = 0;
  ProjectionStatus now_;

  mutable std::mutex mutex_;  // guards the two below
  Notes notes_;
  ProjectionStatus status_;

  SerialTask task_;  // last: its turns use the others
};

}  // namespace cx
