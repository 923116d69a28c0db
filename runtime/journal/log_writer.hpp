#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cx/v1/cluster.pb.h"
#include "runtime/environment/environment.hpp"
#include "runtime/error.hpp"
#include "runtime/nats/jetstream.hpp"

namespace cx {

/// One entry to store behind the message that is the last of its shard's subject as far as we know.
struct Attempt {
  std::uint32_t shard = 0;
  std::uint64_t previous = 0;  ///< that message, in the stream; 0 for none
  v1::ShardEntry entry;        ///< `attempt` and `previous` are filled in

  enum class Outcome {
    stored,  ///< in `sequence`
    beaten,  ///< another message came first: ours is not there and never will be
    unknown  ///< `error` says why
  };
  Outcome outcome = Outcome::unknown;
  std::uint64_t sequence = 0;  ///< of the message, of its last part
  std::size_t bytes = 0;       ///< that it takes in the stream
  bool in_parts = false;       ///< whether it took several messages
  std::optional<Error> error;
};

/// Stores entries in the stream of the journal on their conditions, and finds out what became of those whose
/// answer did not come: by storing them again on the same condition, and by looking which message followed
/// the expected one. Thread-safe.
class LogWriter {
 public:
  /// `fenced`: whether there are conditions at all; see Sabotage. Both outlive this.
  LogWriter(nats::JetStream& jetstream, Environment& environment, std::string cluster, bool fenced);

  /// All at once; entries are of different shards. Waits until the outcome of each is known or `until` has
  /// passed.
  void store(std::span<Attempt> attempts, std::chrono::steady_clock::time_point until);

  /// Makes store() give up soon.
  void stop() { stopping_.store(true, std::memory_order_relaxed); }

  std::string stream() const { return cluster_ + "_journal"; }
  std::string subject(std::uint32_t shard) const { return cluster_ + ".journal." + std::to_string(shard); }
  /// Payloads and subjects that the stream has taken.
  std::uint64_t bytes_written() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Sending;
  void prepare(Sending& sending);
  void send_round(std::span<Sending* const> round);
  /// Looks whether the message that beat us is ours.
  void look(Sending& sending);

  nats::JetStream& jetstream_;
  Environment& environment_;
  const std::string cluster_;
  const bool fenced_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> bytes_{0};
};

/// The largest payload that we send: what the servers take without our headers, and 1 MiB at most.
std::size_t slice_size(const nats::Connection& connection);

}  // namespace cx
