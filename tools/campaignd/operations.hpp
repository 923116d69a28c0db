#pragma once

#include <functional>

#include "runtime/clock.hpp"
#include "runtime/entity/entities.hpp"
#include "runtime/services.hpp"
#include "runtime/telemetry/metrics.hpp"
#include "tools/campaignd/peers.hpp"

namespace cx {

/// What operators' questions are answered from. All outlives the gateways; journal and kinds of `entities`
/// outlive Entities::reads(), on which the journal is read.
struct Operations {
  Metrics& metrics;
  const Entities& entities;
  const Clock& clock;
  std::function<bool()> draining;  ///< whether the node takes no more requests; thread-safe
  Peers* peers = nullptr;          ///< null for a node that stands alone
};

/// Serves cx.v1.Operations and cx.v1.Nodes. What another node has to answer is asked of it.
void add_operations(Services& services, const Operations& operations);

/// Answers a request of cx.v1.Operations that another node passes on, for this node alone. `respond` is
/// called once, on some thread.
void answer_question(const Operations& operations, const MessagePtr& question,
                     const Services::Respond& respond);

}  // namespace cx
