#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cx/v1/config.pb.h"
#include "runtime/error.hpp"

namespace cx::nats {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A message as it came. The views are good while its handler runs.
struct Incoming {
  std::string_view subject;
  std::string_view reply;  ///< empty: nobody waits for an answer
  std::string_view payload;
  /// The first value of a header, or empty.
  std::function<std::string_view(const char* name)> header;
  /// All of them.
  std::function<Headers()> headers;
};

/// A message that is kept.
struct Received {
  std::string subject;
  std::string payload;
  Headers headers;
};

/// Stops the handler's calls when it goes: none is under way when the destructor has returned, unless it is
/// the handler itself that destroys it.
class Subscription {
 public:
  virtual ~Subscription() = default;
  /// Takes nothing new, and returns when the handler has had what was on its way, at the latest after
  /// `grace`; whether it has. Not to be called by the handler.
  virtual bool drain(std::chrono::milliseconds grace) = 0;
};

/// A connection to a NATS cluster. It reconnects for ever, and says so in the log; what is published
/// meanwhile fails at once. Thread-safe. Errors: "unavailable" (not connected, no responders), "timeout" (the
/// outcome is unknown), "nats-failed" (anything else, with what the server said); opening: "nats-refused"
/// (credentials), "invalid-config".
class Connection {
 public:
  /// Tries every server for as long as `config.timeout_ms` says. `name` shows in the servers' lists of
  /// connections.
  static Result<std::unique_ptr<Connection>> open(const v1::NatsConfig& config, const std::string& name);
  virtual ~Connection() = default;

  virtual bool connected() const = 0;
  /// Largest payload that the servers take, headers included, in bytes.
  virtual std::size_t max_payload() const = 0;

  /// Hands a message to the connection; it goes out within a moment. Never waits.
  virtual std::optional<Error> publish(std::string_view subject, std::string_view payload,
                                       const Headers& headers = {}, std::string_view reply = {}) = 0;

  /// Answers once, on a thread of the connection's, or at once where it fails at once. Many may be under way.
  /// Never waits.
  using Reply = std::function<void(Result<Received>)>;
  virtual void ask(std::string_view subject, std::string_view payload, const Headers& headers,
                   std::chrono::milliseconds timeout, Reply reply) = 0;
  /// Calls `then` once, after `delay`, or sooner if the connection is lost or closed: on a thread of the
  /// connection's, which must not wait. To ask again what could not be answered yet.
  virtual void later(std::chrono::milliseconds delay, std::function<void()> then) = 0;
  /// An ask, waited for. Not to be called on a thread of the connection's or an actor's.
  Result<Received> request(std::string_view subject, std::string_view payload, const Headers& headers,
                           std::chrono::milliseconds timeout);

  /// Calls `handler` with each message, one at a time, on a thread of the subscription's own. `queue`: of all
  /// subscriptions with that name one gets it; empty: all get it. At most `pending` messages wait for the
  /// handler; past it they are dropped, and `dropped`, if there is one, is told how many so far.
  using Handler = std::function<void(const Incoming&)>;
  virtual Result<std::unique_ptr<Subscription>> subscribe(
      const std::string& subject, const std::string& queue, Handler handler, std::size_t pending = 65'536,
      std::function<void(std::uint64_t)> dropped = {}) = 0;
};

}  // namespace cx::nats
