#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

namespace cx {

namespace v1 {
class ActorsConfig;
class ClusterConfig;
}  // namespace v1

/// The settings that our actor system runs with: work sharing, because it answered a remote round trip in
/// under a third of the time that stealing took, and a finite throughput, so that one busy actor cannot hold
/// a thread.
class SystemConfig : public caf::actor_system_config {
 public:
  explicit SystemConfig(const v1::ActorsConfig& config);
  /// Of a node that may be one of a cluster: then with sockets, and with TLS where a certificate is set.
  SystemConfig(const v1::ActorsConfig& config, const v1::ClusterConfig& cluster);
};

}  // namespace cx
