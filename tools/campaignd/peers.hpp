#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cluster/topology.hpp"
#include "runtime/entity/request.hpp"

namespace cx {

/// The cluster, as far as operators ask about it and steer it. Thread-safe.
class Peers {
 public:
  virtual ~Peers() = default;

  /// Never null.
  virtual cluster::TopologyPtr topology() const = 0;
  /// Has another node answer a request of cx.v1.Operations for itself alone; see answer_question(). Answered
  /// once, on some thread, within a few seconds. Never blocks.
  virtual void ask(const std::string& incarnation, MessagePtr question, Respond respond) = 0;

  struct Move {
    std::uint32_t shard = 0;
    std::string from, to;  ///< incarnations; `from` is empty where nobody has it
  };
  // These may block.

  /// Has the node of this name give its shards away, or take some again.
  virtual std::optional<Error> drain(const std::string& node, bool drained) = 0;
  /// What would have to move for everything to be where it belongs; moves it, too, unless `dry_run`.
  virtual Result<std::vector<Move>> rebalance(bool dry_run) = 0;
};

}  // namespace cx
