#pragma once

#include "cx/v1/config.pb.h"
#include "gateways/nats/publisher.hpp"
#include "runtime/entity/entities.hpp"
#include "runtime/projection/projector.hpp"

namespace cx {

/// Tells others over NATS what happens to customers and in journeys, and what comes of decisions;
/// gateways/nats/EVENTS.md.
class Publishing {
 public:
  /// All outlive this. `entities` are those of the journal, and started.
  Publishing(const v1::NodeConfig& config, nats::JetStream& jetstream, Journal& journal,
             const Entities& entities, const Clock& clock, Metrics& metrics);

  // As of the other projections: see Management.
  void follow(std::uint32_t shard) { projector_.notify(shard); }
  std::uint64_t retain_after(std::uint32_t shard) const { return projector_.retain_after(shard); }
  void tick() { projector_.poll(); }

 private:
  nats_gateway::Publisher publisher_;
  ThreadPool thread_;
  Projector projector_;
};

}  // namespace cx
