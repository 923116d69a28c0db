#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "cx/v1/config.pb.h"
#include "runtime/error.hpp"
#include "runtime/services.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::http {

/// Whether the node should be sent requests. Called on I/O threads: thread-safe, must not block.
using ReadyCheck = std::function<bool()>;

/// Serves the contract over HTTP/1.1 (RFC 9110, 9112): each method with a `route` option, a `raw` one by
/// posting the body to its agents, any other in JSON. Of its own it adds GET /healthz, /readyz and /metrics.
/// Errors are RFC 9457 problem documents.
///
/// `threads` I/O threads share the connections; the functions below belong to one thread, the owner's.
/// `services`, their targets and `metrics` must outlive the server; a ReplyTo or Services::Respond may
/// outlive it, and is then without effect.
class Server {
 public:
  Server(const v1::HttpConfig& config, const Services& services, Metrics& metrics, ReadyCheck ready);
  /// Closes what is still open.
  ~Server();

  /// Binds and starts serving; returns the port. Fails, with what to do about it, when it cannot listen.
  Result<std::uint16_t> start();
  /// The port that is listened on; 0 before start().
  std::uint16_t port() const;
  /// Stops accepting, answers what is under way and closes; returns when all is closed, at the latest after
  /// `grace`. /readyz answers 503 from then on.
  void drain(std::chrono::milliseconds grace);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cx::http
