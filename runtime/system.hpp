#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

namespace cx {

namespace v1 {
class ActorsConfig;
}

/// The settings that our actor system runs with: work sharing, because it answered a remote round trip in
/// under a third of the time that stealing took, and a finite throughput, so that one busy actor cannot hold
/// a thread.
class SystemConfig : public caf::actor_system_config {
 public:
  explicit SystemConfig(const v1::ActorsConfig& config);
};

}  // namespace cx
