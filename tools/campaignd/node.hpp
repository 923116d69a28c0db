#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "cx/v1/config.pb.h"
#include "runtime/error.hpp"

namespace cx {

/// What the schema cannot say about a configuration: an error where the values make no sense together.
std::optional<Error> check(const v1::NodeConfig& config);

/// A running node: actors, providers and gateways, put together from a configuration. Everything that it
/// needs is built by start(); the order of shutdown is the reverse of the path of a request.
class Node {
 public:
  explicit Node(const v1::NodeConfig& config);
  ~Node();

  /// Builds the catalogue and the model, warms up, then opens the gateways. An error says what to change.
  std::optional<Error> start();

  /// Recomputes rates; to be called about once a second.
  void tick();

  /// Refuses new work, lets what is under way finish within `grace`, then stops.
  void drain(std::chrono::milliseconds grace);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cx
