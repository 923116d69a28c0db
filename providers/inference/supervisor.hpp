#pragma once

#include <caf/fwd.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "messages/actors.hpp"
#include "providers/inference/provider.hpp"
#include "providers/pool/work.hpp"
#include "runtime/clock.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::inference {

/// How requests become batches. Both bounds are hard: a batch never has more than `batch_items` items unless
/// a single request brings more, and none waits longer than `batch_wait` to be dispatched.
struct BatchPolicy {
  std::size_t batch_items = 16;
  std::chrono::microseconds batch_wait{500};
  std::size_t pool = 2;  ///< provider actors
  std::size_t max_queue =
      4096;  ///< items accepted and not yet answered; past it a request is refused at once
};

/// What is counted of the supervisor's work.
using BatchProbe = pool::Probe;

using ProviderFactory = std::function<std::unique_ptr<CoLaNetProvider>()>;

/// Spawns the supervisor and its pool. A request is dispatched at once while a provider is idle (so that a
/// quiet node adds no wait); otherwise it waits for the batch to fill, a provider to finish or `batch_wait`
/// to pass. A request past its deadline is not scored but answered with an error; a provider that throws is
/// replaced by a new one, and the batch that was with it is answered with an error. `make_provider` is called
/// on actor threads. The references must outlive the actor system.
InferencePool spawn_supervisor(caf::actor_system& system, BatchPolicy policy, ProviderFactory make_provider,
                               const Clock& clock, Metrics& metrics, BatchProbe& probe);

}  // namespace cx::inference
