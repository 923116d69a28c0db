#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "runtime/error.hpp"

namespace cx::kserve_sim {

/// Passes TCP connections on to a port of this machine, and breaks them when told to: what a gRPC server
/// cannot do to its own. A thread of its own.
class Relay {
 public:
  Relay(std::string host, std::uint16_t port, std::uint16_t target);
  ~Relay();  // stops
  Relay(const Relay&) = delete;

  /// Returns the port; "cannot-start" says what stands in the way.
  Result<std::uint16_t> start();
  /// Resets each connection of now after so many more bytes to its client; 0: at once. Returns when it holds.
  void cut_after(std::size_t bytes);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cx::kserve_sim
