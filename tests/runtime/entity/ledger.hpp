#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/entity/kind.hpp"
#include "tests/runtime/entity/harness.hpp"

namespace cx::test {

/// A command as its client remembers it.
struct Op {
  std::size_t number = 0;
  std::string to;
  MessagePtr command;
  bool query = false;
  bool relaxed = false;
  int client = -1;  ///< whose id it carries; -1 when it has none
  std::uint64_t sequence = 0;
  bool doubled = false;  ///< was sent twice at once: the second may do what the first was refused
  std::int64_t deadline = 0;
  enum Outcome { pending, acknowledged, refused, unknown } outcome = pending;
  MessagePtr reply;
  unsigned era = 0;         ///< in which it was answered
  std::uint64_t floor = 0;  ///< changes of the entity that somebody had seen when it was sent

  std::string trace() const { return "op-" + std::to_string(number); }
};

/// What clients were told, and whether it is so. Knows nothing of the runtime but its log and its entities.
class Ledger {
 public:
  std::vector<Op> ops;
  std::map<std::string, std::uint64_t> seen;  ///< changes of a counter that an answer has shown
  std::map<std::string, Letter> paid;         ///< what an endpoint got, by id

  /// What was relaxed until now may be gone.
  void broke() { ++era_; }
  void told(Op& op, const MessagePtr& reply, std::vector<std::string>& faults);
  /// A second answer to the same message.
  void told_again(const Op& op, const MessagePtr& reply, std::vector<std::string>& faults) const;
  /// Holds all of it against a node that has come to rest.
  void audit(World& world, std::vector<std::string>& faults) const;

 private:
  unsigned era_ = 0;
};

}  // namespace cx::test
