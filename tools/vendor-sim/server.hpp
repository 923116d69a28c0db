#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/error.hpp"

namespace cx::vendor_sim {

struct Options;

/// A Simulator behind HTTP/1.1, on a thread of its own.
class Server {
 public:
  explicit Server(const Options& options);
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
