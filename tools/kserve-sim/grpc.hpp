#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tools/kserve-sim/simulator.hpp"

namespace cx::kserve_sim {

/// The Open Inference Protocol over gRPC, behind a relay that breaks connections.
class GrpcServer {
 public:
  GrpcServer(Simulator& simulator, std::string host, std::uint16_t port);
  ~GrpcServer();  // stops
  GrpcServer(const GrpcServer&) = delete;

  /// Returns the port; "cannot-start" says what stands in the way.
  Result<std::uint16_t> start();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cx::kserve_sim
