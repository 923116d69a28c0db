#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cx/v1/cluster.pb.h"

namespace cx::cluster {

/// Who should own what: pure, the same on every node that sees the same. By incarnation; with those that
/// left, as far as they are known: an owner that is not in here is nobody's to replace.
using Members = std::map<std::string, v1::Member>;

struct Move {
  std::uint32_t shard = 0;
  std::string from, to;  ///< incarnations; empty: nobody
  bool operator==(const Move&) const = default;
};

/// A table of shards that nobody owns, version 0.
v1::Placement empty_placement(std::uint32_t shards);

/// Whether an operator drains the node.
bool drained(const v1::Placement& table, const std::string& node);

/// Whether a member gets shards: it serves, has been confirmed (has renewed once), wants some and is not
/// drained.
bool receives(const v1::Member& member, const v1::Placement& table);

/// For each shard the incarnation that it belongs to; empty where nobody receives any. Weighted rendezvous
/// hashing of the node's name and the shard's number (Wang, "Weighted distributed hash tables", 2005;
/// Schindelhauer and Schomaker, 2005): each member gets its weight's part of the shards, give or take the
/// square root of that, a member that comes or goes moves its own part only, and a node that comes back gets
/// what it had.
std::vector<std::string> belongs(const v1::Placement& table, const Members& members);

/// What moves when everybody gets what belongs to them.
std::vector<Move> plan(const v1::Placement& table, const Members& members);

/// The next step, or nothing when all is well. Shards of members that left, and of nobody, get an owner at
/// once, in their next epoch. Others begin to move (`next`), those of nodes that are to lose all first, with
/// at most `moving` under way; a move to somebody who receives no more is redirected or undone, and so is one
/// that is no longer wanted. The version stays: whoever writes the table counts it.
std::optional<v1::Placement> propose(const v1::Placement& table, const Members& members,
                                     std::uint32_t moving);

}  // namespace cx::cluster
