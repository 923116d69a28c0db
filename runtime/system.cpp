#include "runtime/system.hpp"

#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>

#include "cx/v1/config.pb.h"

namespace cx {

SystemConfig::SystemConfig(const v1::ActorsConfig& config) {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", static_cast<std::size_t>(config.threads()));
  set("scheduler.max-throughput", static_cast<std::size_t>(config.throughput()));
}

// Of CAF's own protocol between systems nothing is used, and no port of it is opened: links speak ours
// (runtime/cluster/link.hpp), on CAF's event loop and through its TLS.
SystemConfig::SystemConfig(const v1::ActorsConfig& config, const v1::ClusterConfig& cluster)
    : SystemConfig(config) {
  if (!cluster.enabled()) return;
  load<caf::io::middleman>();
  const auto& tls = cluster.tls();
  // Some of them alone is a mistake that Forwarder::listen tells; CAF would throw.
  if (tls.certificate().empty() || tls.key().empty() || tls.client_ca().empty()) return;
  openssl_certificate = tls.certificate();
  openssl_key = tls.key();
  openssl_cafile = tls.client_ca();
  load<caf::openssl::manager>();
}

}  // namespace cx
