#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace cx {

struct ShardEpoch {
  std::uint32_t shard = 0;
  std::uint64_t epoch = 0;
  bool operator==(const ShardEpoch&) const = default;
};

/// Shards of this node come and go here, as the placement says. Thread-safe, never blocks.
class ShardHost {
 public:
  virtual ~ShardHost() = default;

  /// Opens shards, each in its epoch, and serves them. What cannot be opened at once is tried again until it
  /// is taken in another epoch, released or dropped; a shard that somebody has opened in a newer epoch is
  /// told to `on_lost`.
  virtual void take(std::vector<ShardEpoch> shards) = 0;
  /// Takes no more commands for them, finishes and commits what is under way, writes what the next owner
  /// needs to start quickly, and calls `released` with each as soon as it is done, on some thread. Those that
  /// are not here are released at once. A shard that cannot be written any more is dropped.
  virtual void release(std::span<const std::uint32_t> shards,
                       std::function<void(std::uint32_t)> released) = 0;
  /// Serves them no longer, at once: what is under way gets "unavailable" with the outcome unknown.
  virtual void drop(std::span<const std::uint32_t> shards) = 0;
  /// Called with each shard that was here, or was to be, and turned out to have been opened by somebody else:
  /// in this epoch, or in a newer one. It is not here then. Set once, before the first take().
  virtual void on_lost(std::function<void(ShardEpoch newer)> lost) = 0;
};

}  // namespace cx
