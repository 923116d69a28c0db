#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/journal/replica.hpp"
#include "runtime/nats/jetstream.hpp"

namespace cx {

/// Checkpoints of shards in the stream CLUSTER_checkpoints: with one, a node needs no message of the journal
/// that is older, and those are purged. Thread-safe; every method waits for the servers.
class Checkpoints {
 public:
  /// All outlive this.
  Checkpoints(nats::JetStream& jetstream, Environment& environment, std::string cluster);

  /// Creates the stream.
  std::optional<Error> ensure(std::uint32_t replicas);

  /// The newest of every shard that has one.
  Result<std::vector<v1::Checkpoint>> all();

  struct Made {
    v1::Checkpoint checkpoint;
    std::uint64_t bytes = 0;  ///< of its parts; 0 where one was there
  };
  /// Stores what the copy has of a shard, unless a checkpoint of the same or a newer state is there, and then
  /// forgets older ones. Answers the newest.
  Result<Made> make(const Replica& replica, std::uint32_t shard);

  /// The same of a shard that has no message yet: what it begins with. Replaces an earlier one.
  Result<Made> begin(std::uint32_t shard, const Journal& from);

  /// Replaces a shard of the copy by its newest checkpoint. "not-found" where it has none that is newer than
  /// message `have`, if that is not 0.
  std::optional<Error> restore(Replica& replica, std::uint32_t shard, std::uint64_t have);

  std::uint64_t bytes_written() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Found {
    v1::Checkpoint checkpoint;
    std::uint64_t sequence = 0;  // of the manifest; 0: there is none
  };
  using Image =
      std::function<Result<v1::Checkpoint>(const std::function<std::optional<Error>(v1::CheckpointPart&&)>&)>;
  Result<Made> store(std::uint32_t shard, const Image& image);
  Result<Found> newest(std::uint32_t shard);
  std::optional<Error> restore_one(Replica& replica, const v1::Checkpoint& checkpoint);
  std::optional<Error> put(const std::string& subject, std::string_view payload, std::uint64_t& sequence);

  std::string stream() const { return cluster_ + "_checkpoints"; }
  std::string subject(std::uint32_t shard) const { return cluster_ + ".checkpoint." + std::to_string(shard); }

  nats::JetStream& jetstream_;
  Environment& environment_;
  const std::string cluster_;
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace cx
