#include "runtime/cluster/placement.hpp"

#include <algorithm>
#include <cmath>
#include <xxhash.h>

namespace cx::cluster {
namespace {

/// The smaller, the better. An exponential variate of rate `weight`: the least of several is each one's with
/// the probability of its share of the weights.
double score(const v1::Member& member, std::uint32_t shard) {
  const std::uint64_t hash = XXH64(member.node().data(), member.node().size(), shard);
  const double uniform = (static_cast<double>(hash >> 11) + 0.5) * 0x1p-53;
  return -std::log(uniform) / member.weight();
}

bool left(const Members& members, const std::string& incarnation) {
  const auto it = members.find(incarnation);
  return it != members.end() && it->second.status() == v1::Member::STATUS_LEFT;
}

}  // namespace

v1::Placement empty_placement(std::uint32_t shards) {
  v1::Placement table;
  for (std::uint32_t shard = 0; shard < shards; ++shard) table.add_shards();
  return table;
}

bool drained(const v1::Placement& table, const std::string& node) {
  return std::find(table.drained().begin(), table.drained().end(), node) != table.drained().end();
}

bool receives(const v1::Member& member, const v1::Placement& table) {
  return member.status() == v1::Member::STATUS_SERVING && member.renewal() > 0 && member.weight() > 0 &&
         !drained(table, member.node());
}

std::vector<std::string> belongs(const v1::Placement& table, const Members& members) {
  std::vector<const Members::value_type*> candidates;
  for (const auto& entry : members) {
    if (receives(entry.second, table)) candidates.push_back(&entry);
  }
  std::vector<std::string> owners(static_cast<std::size_t>(table.shards_size()));
  if (candidates.empty()) return owners;
  for (std::uint32_t shard = 0; shard < owners.size(); ++shard) {
    const Members::value_type* best = nullptr;
    double least = 0;
    for (const auto* candidate : candidates) {
      const double mine = score(candidate->second, shard);
      if (best != nullptr && mine >= least) continue;
      best = candidate;
      least = mine;
    }
    owners[shard] = best->first;
  }
  return owners;
}

std::vector<Move> plan(const v1::Placement& table, const Members& members) {
  const auto owners = belongs(table, members);
  std::vector<Move> moves;
  for (std::uint32_t shard = 0; shard < owners.size(); ++shard) {
    const auto& place = table.shards(static_cast<int>(shard));
    if (!owners[shard].empty() && place.owner() != owners[shard]) {
      moves.push_back({shard, place.owner(), owners[shard]});
    }
  }
  return moves;
}

std::optional<v1::Placement> propose(const v1::Placement& table, const Members& members,
                                     std::uint32_t moving) {
  const auto owners = belongs(table, members);
  const auto gets = [&](const std::string& incarnation) {
    const auto it = members.find(incarnation);
    return it == members.end() ||
           receives(it->second, table);  // one that we do not know yet may well be fine
  };
  std::optional<v1::Placement> next;
  const auto change = [&](int shard) {
    if (!next) next = table;
    return next->mutable_shards(shard);
  };

  std::uint32_t under_way = 0;
  for (int shard = 0; shard < table.shards_size(); ++shard) {
    const auto& place = table.shards(shard);
    const auto& wanted = owners[static_cast<std::size_t>(shard)];
    if (place.owner().empty() || left(members, place.owner())) {
      if (place.owner().empty() && wanted.empty()) continue;
      auto* given = change(shard);
      given->set_owner(wanted);
      given->clear_next();
      if (!wanted.empty()) given->set_epoch(place.epoch() + 1);
    } else if (!place.next().empty()) {
      const bool wrong = !gets(place.next()) || place.next() == place.owner() || wanted == place.owner();
      const std::string instead = wanted == place.owner() ? "" : wanted;
      if (wrong) change(shard)->set_next(instead);
      if (!wrong || !instead.empty()) ++under_way;
    }
  }
  for (const bool urgent : {true, false}) {  // first from those who give all away: they may be in a hurry
    for (int shard = 0; shard < table.shards_size() && under_way < moving; ++shard) {
      const auto& place = table.shards(shard);
      const auto& wanted = owners[static_cast<std::size_t>(shard)];
      const auto owner = members.find(place.owner());
      if (owner == members.end() || owner->second.status() == v1::Member::STATUS_LEFT) continue;
      if (!place.next().empty() || wanted.empty() || wanted == place.owner()) continue;
      if (urgent == receives(owner->second, table)) continue;
      change(shard)->set_next(wanted);
      ++under_way;
    }
  }
  return next;
}

}  // namespace cx::cluster
