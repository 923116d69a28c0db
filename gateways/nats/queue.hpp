#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "gateways/door.hpp"
#include "runtime/nats/work_queue.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::nats_gateway {

struct QueueOptions {
  std::string prefix;
  std::uint32_t replicas = 1;
  std::chrono::milliseconds timeout{2'000};  ///< of a call to a server
  std::uint32_t credit = 256;                ///< requests that the node has at once
  std::chrono::milliseconds default_tmax{120};
  std::size_t max_body = 262'144;  ///< bytes
  /// A request is given out again when its taker did not answer by then: longer than any bid takes.
  std::chrono::milliseconds redeliver{5'000};
  /// A request that was given out more often ends as a dead letter.
  std::uint64_t attempts = 10;
};

/// Requests of one raw method out of the JetStream work queue PREFIX_SERVICE (see README.md), which all nodes
/// share. Each is answered to its Cx-Reply-To, or ends at PREFIX.TENANT.SERVICE.dead with the reason.
///
/// Everything in it is as late as it is: what has passed its deadline is answered "deadline-exceeded" and not
/// looked at. An answer is sent before the request leaves the queue: should the node die in between, it is
/// answered twice.
class Queue {
 public:
  /// Makes stream and consumer where they are missing. Waits. `ready`: whether to take anything now. All but
  /// `options` outlive the queue.
  static Result<std::unique_ptr<Queue>> open(const QueueOptions& options, nats::Connection& connection,
                                             const Method& method, const Door& door, Metrics& metrics,
                                             std::function<bool()> ready);
  ~Queue();

  /// Takes nothing new, and waits until what was taken is answered, at most for `grace`.
  void drain(std::chrono::milliseconds grace);

 private:
  class Impl;
  explicit Queue(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cx::nats_gateway
