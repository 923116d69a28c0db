#pragma once

#include <caf/allowed_unsafe_message_type.hpp>
#include <cstdint>
#include <future>
#include <memory>
#include <string>

#include "runtime/cluster/topology.hpp"
#include "runtime/entity/request.hpp"

// What the forwarder's actor is told by other threads of its node.

namespace cx::cluster {

/// What this node's own entities answered to Outgoing.
struct Home {
  std::uint64_t id = 0;
  Answer answer;
};

/// What is to be answered to another node.
struct Served {
  std::uint64_t connection = 0;
  std::string frame;
};

struct Question {
  std::string member;
  MessagePtr message;
  std::int64_t patience_ms = 0;
  Respond respond;
};

struct Stop {
  std::shared_ptr<std::promise<void>> done;
};

}  // namespace cx::cluster

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::cluster::Home)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::cluster::Served)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::cluster::Question)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::cluster::Stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::cluster::TopologyPtr)
