#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "cx/v1/config.pb.h"
#include "gateways/door.hpp"
#include "runtime/error.hpp"
#include "runtime/method.hpp"
#include "runtime/raw.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::http {

/// Whether the node should be sent requests. Called on I/O threads: thread-safe, must not block.
using ReadyCheck = std::function<bool()>;

/// A page that stays the same while the server runs. It gets an entity tag, and is compressed once.
struct Document {
  std::string content_type;
  std::string body;
  std::string cache_control = "no-cache";  ///< that is: ask whether it has changed
  std::string security_policy = {};        ///< Content-Security-Policy; empty for none
};

/// Serves the contract over HTTP/1.1 (RFC 9110, 9112), in TLS where the configuration says so: each method
/// with a `route` option, a `raw` one by posting the body to its agents, any other in JSON. Of its own it
/// adds GET /healthz, /readyz, /metrics, and /problems with a page for each type of problem. Errors are RFC
/// 9457 problem documents.
///
/// `threads` I/O threads share the connections; the functions below belong to one thread, the owner's.
/// `methods` with what serves them, `door` and `metrics` must outlive the server; a ReplyTo or
/// Services::Respond may outlive it, and is then without effect.
class Server {
 public:
  Server(const v1::HttpConfig& config, std::span<const Method> methods, const Door& door, Metrics& metrics,
         ReadyCheck ready);
  /// Closes what is still open.
  ~Server();

  /// Adds a public page at GET `path`. Before start().
  void add(const std::string& path, Document document);
  /// The same for what is made anew for each request. `make` is called on I/O threads: thread-safe, must not
  /// block.
  void add(const std::string& path, std::string content_type, std::function<RawReply()> make);

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
