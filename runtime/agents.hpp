#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/raw.hpp"

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::RawRequest)

namespace cx {

/// A fixed number of agents that share one kind of raw request. Each takes at most `credit_each` at once;
/// requests go round robin to the next agent that has credit. Thread-safe.
class AgentPool final : public RawTarget {
 public:
  AgentPool(std::vector<caf::actor> agents, std::uint32_t credit_each);

  bool post(RawRequest& request) override;

  /// Requests that are with an agent now.
  std::size_t under_way() const;

 private:
  struct Agent {
    caf::actor actor;
    std::shared_ptr<std::atomic<std::uint32_t>> busy;  // shared with its requests, which may outlive the pool
  };
  std::vector<Agent> agents_;
  const std::uint32_t credit_each_;
  std::atomic<std::uint32_t> next_{0};
};

}  // namespace cx
