#include "runtime/system.hpp"

#include "cx/v1/config.pb.h"

namespace cx {

SystemConfig::SystemConfig(const v1::ActorsConfig& config) {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", static_cast<std::size_t>(config.threads()));
  set("scheduler.max-throughput", static_cast<std::size_t>(config.throughput()));
}

}  // namespace cx
