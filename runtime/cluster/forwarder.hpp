#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cx/v1/config.pb.h"
#include "runtime/clock.hpp"
#include "runtime/cluster/topology.hpp"
#include "runtime/entity/request.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::cluster {

/// The way from this node to others and back. Commands for shards that are not here come to actor(), and go
/// to whoever owns the shard, or wait for that to be decided (runtime/cluster/outgoing.hpp); commands of
/// other nodes are served here. Between each two nodes there is one connection, which that of the lower
/// incarnation makes, and makes again. One actor on CAF's network thread does it all, so that a command
/// passes no other thread on its way out or in. Thread-safe.
///
/// The system's configuration is made with the cluster's (runtime/system.hpp).
class Forwarder {
 public:
  struct Parts {
    caf::actor_system& system;
    /// Entities::ask. For shards that are not here, and requests that are `here_only`: Error kNotHere.
    std::function<void(Request, Respond)> ask;
    const Kinds& kinds;
    const Clock& clock;
    Metrics& metrics;
    v1::ClusterConfig config;
    std::string node;  ///< its name
    std::string version;
  };
  explicit Forwarder(Parts parts);
  ~Forwarder();

  /// Listens for other nodes, which are let in once there is a topology. The port, or "cluster-listen" or
  /// "cluster-tls".
  Result<std::uint16_t> listen();
  /// Takes (Request), answered as a region does, and (Asked). Its errors, of which nothing was
  /// done: "shard-moving", "node-unreachable", "overloaded", "stopping"; else: "outcome-unknown",
  /// "deadline-exceeded".
  const caf::actor& actor() const { return actor_; }
  /// Where shards and nodes are from now on.
  void update(TopologyPtr topology);

  /// Asks a node itself. `respond` is called once, on some thread; "node-unreachable" when there is no
  /// answer within `patience`.
  void ask_node(const std::string& incarnation, MessagePtr question, std::chrono::milliseconds patience,
                Respond respond);
  /// Who answers what other nodes, or this one, ask this one. Called on the network thread; must not block.
  using Answerer = std::function<void(MessagePtr question, Respond respond)>;
  void on_question(Answerer answerer);

  /// Answers everything that waits, closes the connections, and takes no more.
  void stop();

 private:
  class Peers;
  caf::actor_system& system_;
  std::shared_ptr<Peers> peers_;
  caf::actor actor_;
};

}  // namespace cx::cluster
