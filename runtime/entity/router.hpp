#pragma once

#include <caf/fwd.hpp>
#include <string_view>

#include "runtime/entity/request.hpp"

namespace cx {

/// Where an actor finds entities.
class Router {
 public:
  virtual ~Router() = default;
  /// A command for an entity: "invalid-address", "unknown-kind" or "unknown-command" when it cannot be one.
  /// Thread-safe.
  virtual Result<Request> request(std::string_view address, MessagePtr command) const = 0;
  /// To which actor to send it; see runtime/entity/messages.hpp for the answer. Thread-safe.
  virtual const caf::actor& region(std::uint32_t shard) const = 0;
};

}  // namespace cx
