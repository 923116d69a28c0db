#pragma once

#include <functional>

#include "runtime/clock.hpp"
#include "runtime/entity/entities.hpp"
#include "runtime/services.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx {

/// Serves cx.v1.Operations: what operators ask a node. What reads the journal runs on Entities::reads(),
/// which journal and kinds outlive. `draining`: whether the node takes no more requests; thread-safe. The
/// other arguments outlive the gateways.
void add_operations(Services& services, Metrics& metrics, const Entities& entities, const Clock& clock,
                    std::function<bool()> draining);

}  // namespace cx
