#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "cx/v1/config.pb.h"
#include "gateways/door.hpp"
#include "runtime/error.hpp"
#include "runtime/method.hpp"
#include "runtime/nats/connection.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::nats_gateway {

/// Whether the node should take work. Thread-safe, must not block.
using ReadyCheck = std::function<bool()>;

/// Serves the contract on subjects of NATS (see README.md): each method at PREFIX.TENANT.SERVICE.METHOD, as
/// requests and replies in JSON or Protobuf, shared by all nodes in one queue group; and bid requests out of
/// a work queue, where the configuration says so. What it refuses it refuses as HTTP does, with the same
/// documents.
///
/// Requests are read on threads of the connection's subscriptions, one for each service. The functions below
/// belong to one thread, the owner's. All arguments but `config` must outlive the gateway; a ReplyTo or
/// Services::Respond may outlive it, and is then without effect.
class Gateway {
 public:
  /// Of `config` it looks at nats, http.max_body and, for the queue, at bidding; `ready` is for the queue,
  /// too. Throws std::logic_error where `methods` contradict each other (patterns_of).
  Gateway(const v1::NodeConfig& config, nats::Connection& connection, std::span<const Method> methods,
          const Door& door, Metrics& metrics, ReadyCheck ready);
  /// Ends what is under way.
  ~Gateway();

  /// Subscribes. Waits for the servers. Errors are those of the connection and of JetStream.
  std::optional<Error> start();
  /// Takes nothing new, leaves it to other nodes, and answers what was on its way here; returns when all is
  /// answered, at the latest after `grace`.
  void drain(std::chrono::milliseconds grace);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cx::nats_gateway
