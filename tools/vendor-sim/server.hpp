#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/error.hpp"
#include "tools/vendor-sim/answer.hpp"

namespace cx::vendor_sim {

struct Options;

/// A Simulator, or another that answers requests, behind HTTP/1.1, on a thread of its own.
class Server {
 public:
  using Handler = std::function<Answer(const Request&)>;

  explicit Server(const Options& options);
  /// `handle` is called on the server's thread, a request at a time. Port 0 takes a free one.
  Server(std::string host, std::uint16_t port, Handler handle);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves until stop(). Returns the port; "cannot-start" says what stands in the way.
  Result<std::uint16_t> start();
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cx::vendor_sim
