#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cx/v1/cluster.pb.h"
#include "runtime/cluster/placement.hpp"
#include "runtime/cluster/topology.hpp"
#include "runtime/entity/shard_host.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/error.hpp"
#include "runtime/nats/connection.hpp"

namespace cx::cluster {

/// A node's part in its cluster: keeps it a member, gives its host the shards that the table says are its
/// own, and proposes better tables. A thread around Membership, on the bucket CLUSTER_members. Thread-safe.
class Coordinator {
 public:
  struct Parts {
    nats::Connection& connection;
    ShardHost& shards;
    Environment& environment;
    std::string cluster;
    std::uint32_t replicas = 1;  ///< of the bucket
    v1::Member member;           ///< node, host, port, weight, version, lease_ms and http count
    /// Told of every change, in order, on the coordinator's thread; is not to block, nor to call the
    /// coordinator. A shard is ours where we are its owner and in `members`: while the lease is over, we are
    /// not.
    std::function<void(TopologyPtr)> changed;
  };
  /// `parts` outlive this. Sets the host's on_lost().
  explicit Coordinator(Parts parts);
  /// Stops without leaving: others find out when the lease is over. The host keeps what it has.
  ~Coordinator();

  /// Becomes a member; from then on, one whose lease got lost or who was declared dead comes back by itself.
  /// Waits: where a member of the same name died a moment ago, until its lease is over. Errors, besides those
  /// of JetStream: "duplicate-node", "version-skew", "invalid-placement", "join-timeout". To be called once.
  std::optional<Error> join();
  /// Gives all shards away, for at most `grace`, and leaves for good. Waits.
  void leave(std::chrono::milliseconds grace);

  /// Has a node (by name) give its shards away and get no others, also after a restart of it; or the
  /// opposite. Waits until it is in the table, not until it is done. Errors: "unknown-node", "not-a-member",
  /// "timeout".
  std::optional<Error> drain(const std::string& node) { return set_drained(node, true); }
  std::optional<Error> undrain(const std::string& node) { return set_drained(node, false); }

  /// What is going to move, of itself: shards that are not where they belong.
  std::vector<Move> plan() const;
  /// Begins with it now, where a proposal waits for somebody else's turn; answers the plan.
  std::vector<Move> rebalance();

  /// Never null after join().
  TopologyPtr topology() const;

 private:
  std::optional<Error> set_drained(const std::string& node, bool drained);
  struct Inner;
  std::unique_ptr<Inner> inner_;
};

}  // namespace cx::cluster
