#pragma once

#include <caf/fwd.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "messages/actors.hpp"
#include "providers/inference/provider.hpp"
#include "providers/pool/work.hpp"
#include "runtime/clock.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::inference {

/// How requests become batches. The bounds are hard: a batch never has more than `batch_items` items, nor
/// waits its oldest longer than `batch_wait` to be dispatched. Within them a batch is as large as the load
/// makes it.
struct BatchPolicy {
  std::size_t batch_items = 16;
  std::chrono::microseconds batch_wait{500};
  std::size_t pool = 2;      ///< provider actors; how many a load needs: pool::workers_for
  bool own_threads = false;  ///< they wait for others (a model server), see pool::Policy
  std::size_t max_queue =
      4096;  ///< items accepted and not yet answered; past it a request is refused at once
  /// Longest that a batch should take (NFR-PERF-002): it is made no larger than fits, see pool::Policy.
  std::chrono::microseconds batch_time{5000};
  /// One batch in so many, at most, is given to a second, idle provider when it takes longer than 95 % did of
  /// late.
  std::uint32_t hedge_every = 50;
};

/// What it is for the pool.
pool::Policy make_policy(const BatchPolicy& policy);

/// What is counted of the supervisor's work.
using BatchProbe = pool::Probe;

using ProviderFactory = std::function<std::unique_ptr<CoLaNetProvider>()>;

/// Spawns the supervisor and its pool. A request is dispatched at once while a provider is idle (so that a
/// quiet node adds no wait); otherwise it waits for the batch to fill, a provider to finish, `batch_wait` to
/// pass or its deadline to come near. One with more items than a batch is scored in parts, and answered
/// whole.
///
/// Each request is answered once. An item that could not be scored has no values in the answer, and costs the
/// others nothing; a request none of whose items could be scored gets an error, as does one that is past its
/// deadline or finds the queue full. A provider that throws is replaced by a new one, and what was in its
/// batch is scored item by item.
///
/// `make_provider` is called on actor threads; each provider is warmed up before it gets work
/// (BatchProbe::warm: how many are). The references must outlive the actor system.
InferencePool spawn_supervisor(caf::actor_system& system, BatchPolicy policy, ProviderFactory make_provider,
                               const Clock& clock, Metrics& metrics, BatchProbe& probe);

/// Takes no more requests, scores what it has, and then calls `done` on the supervisor's thread.
void drain(const InferencePool& pool, std::function<void()> done);

}  // namespace cx::inference
