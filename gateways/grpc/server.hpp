#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "cx/v1/config.pb.h"
#include "gateways/door.hpp"
#include "runtime/error.hpp"
#include "runtime/method.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::grpc_gateway {

/// Whether the node should be sent requests. Called on a thread of the server: thread-safe, must not block.
using ReadyCheck = std::function<bool()>;

/// Serves every method of the contract over gRPC: a `raw` one by posting the body to its agents, any other by
/// its handler. Of its own it adds grpc.health.v1.Health (SERVING while `ready`, looked at four times a
/// second) and server reflection.
///
/// Who calls is told by the metadata "authorization" or "x-api-key", or by the client's certificate;
/// "x-request-id", "traceparent" and "idempotency-key" are what they are in HTTP. A call's deadline travels
/// on.
///
/// A failure is a status with the error's detail as its message; the problem document (RFC 9457) that HTTP
/// would answer is in the trailer "problem-bin". One worth retrying also has "grpc-retry-pushback-ms" (gRFC
/// A6). An empty raw reply is an empty RawBody. A reply's metadata are trailers.
/// A call that its client gives up counts as a client's error.
///
/// The functions below belong to one thread, the owner's. `methods`, `door` and `metrics` must
/// outlive the server; a ReplyTo or Services::Respond may outlive it, and is then without effect.
class Server {
 public:
  Server(const v1::GrpcConfig& config, std::span<const Method> methods, const Door& door, Metrics& metrics,
         ReadyCheck ready);
  /// Cancels what is still under way.
  ~Server();

  /// Binds and starts serving; returns the port. Fails, with what to do about it, when it cannot listen.
  Result<std::uint16_t> start();
  /// Refuses new calls, answers what is under way and stops; returns when that is done, at the latest shortly
  /// after `grace`, when the rest is cancelled.
  void drain(std::chrono::milliseconds grace);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cx::grpc_gateway
