// Which shards a member has, and how the table changes.
#include <algorithm>
#include <fmt/format.h>

#include "runtime/cluster/membership.hpp"

namespace cx::cluster {
namespace {

constexpr std::int64_t kTurnMs = 100;  ///< proposers of a higher rank wait so much longer each
constexpr std::int64_t kBatchMs =
    20;  ///< shards that are released wait so long for others, to go in one write
constexpr std::uint32_t kMovingPart = 10;  ///< of the shards may be moving

bool any(const std::map<std::string, bool>& wishes, const v1::Placement& table) {
  return std::any_of(wishes.begin(), wishes.end(),
                     [&](const auto& wish) { return drained(table, wish.first) != wish.second; });
}

void set_drained(v1::Placement& table, const std::string& node, bool wanted) {
  auto& nodes = *table.mutable_drained();
  nodes.erase(std::remove(nodes.begin(), nodes.end(), node), nodes.end());
  if (!wanted) return;
  *nodes.Add() = node;
  std::sort(nodes.begin(), nodes.end());
}

}  // namespace

void Membership::drain(std::int64_t now, const std::string& node, bool wanted) {
  wishes_.erase(node);
  if (drained(table_, node) != wanted) wishes_[node] = wanted;
  advance(now);
}

void Membership::rebalance(std::int64_t now) {
  look_ = eager_ = true;
  advance(now);
}

void Membership::released(std::int64_t now, std::uint32_t shard, std::uint64_t round) {
  if (shard < shards_.size() && shards_[shard].held == Held::releasing && shards_[shard].round == round) {
    shards_[shard].held = Held::released;
    settle_ = true;
  }
  advance(now);
}

void Membership::lost(std::int64_t now, ShardEpoch newer) {
  if (newer.shard < shards_.size()) {
    auto& shard = shards_[newer.shard];
    if ((shard.held == Held::held || shard.held == Held::releasing) && shard.epoch < newer.epoch) {
      shard.held = shard.held == Held::held ? Held::none : Held::released;
      shard.beyond = newer.epoch;
      settle_ = true;
    }
  }
  advance(now);
}

/// Stops by our own clock, before anybody else can begin; and goes on in the same epochs when a renewal has
/// succeeded after all: nobody has declared us dead, so nobody else has our shards.
void Membership::lapse(std::int64_t now) {
  if (stage_ != Stage::serving) return;
  const bool over = now >= renewed_ + lease();
  if (over == lapsed_) return;
  lapsed_ = over;
  settle_ = announce_ = true;
  if (over) drop_all();
  out_.log.push_back(
      over ? fmt::format("the lease of incarnation {} is over: its shards stop", self_.incarnation())
           : fmt::format("incarnation {} has its lease again", self_.incarnation()));
}

void Membership::drop_all() {
  out_.take.clear();
  out_.release.clear();
  for (std::uint32_t number = 0; number < shards_.size(); ++number) {
    auto& shard = shards_[number];
    if (shard.held == Held::held || shard.held == Held::releasing) out_.drop.push_back(number);
    shard.held = Held::none;
  }
  waiting_ = releasing_ = 0;
}

bool Membership::somebody_receives() const {
  return std::any_of(members_.begin(), members_.end(),
                     [&](const auto& member) { return receives(member.second, table_); });
}

void Membership::settle(std::int64_t now) {
  settle_ = false;
  if (!serves()) return;
  const bool closing = leave_by_ && !somebody_receives();
  const std::size_t waited = waiting_;
  waiting_ = releasing_ = 0;
  ++round_;
  for (std::uint32_t number = 0; number < shards_.size(); ++number) {
    auto& shard = shards_[number];
    const auto& place = table_.shards(static_cast<int>(number));
    if (place.owner() != self_.incarnation()) {
      if (shard.held == Held::held || shard.held == Held::releasing) out_.drop.push_back(number);
      shard = {};
      continue;
    }
    if (shard.beyond < place.epoch()) shard.beyond = 0;
    const bool stays = place.next().empty() && !closing;
    if (!stays && shard.held == Held::held) {
      shard.held = Held::releasing;
      shard.round = round_;
      out_.release.push_back(number);
    } else if (!stays && shard.held == Held::none) {
      shard.held = Held::released;
    } else if (stays && shard.beyond == 0 &&
               (shard.held == Held::none || shard.held == Held::released ||
                (shard.held == Held::held && shard.epoch != place.epoch()))) {
      shard.held = Held::held;
      shard.epoch = place.epoch();
      out_.take.push_back({number, place.epoch()});
    }
    if (shard.held == Held::releasing) ++releasing_;
    if ((shard.held == Held::released && !place.next().empty()) || shard.beyond > 0) ++waiting_;
  }
  out_.round = round_;
  if (waited == 0 && waiting_ > 0) first_released_ = now;
}

/// Whether there is something to propose, and when it is our turn.
void Membership::look(std::int64_t now) {
  look_ = false;
  for (const auto& place : table_.shards()) {
    for (const auto* incarnation : {&place.owner(), &place.next()}) {
      if (!incarnation->empty() && !members_.contains(*incarnation)) ask("member." + *incarnation, now);
    }
  }
  const auto moving = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(shards_.size()) / kMovingPart);
  if (!propose(table_, members_, moving)) {
    propose_at_ = -1;
  } else if (eager_) {
    propose_at_ = now;
  } else if (propose_at_ < 0) {
    propose_at_ = now + rank() * kTurnMs;
  }
  eager_ = false;
}

/// Owners go, epochs rise: what is ours to write.
void Membership::hand_over(v1::Placement& next) {
  for (std::uint32_t number = 0; number < shards_.size(); ++number) {
    const auto& shard = shards_[number];
    auto* place = next.mutable_shards(static_cast<int>(number));
    if (place->owner() != self_.incarnation()) continue;
    const bool goes = shard.held == Held::released && !place->next().empty();
    if (!goes && shard.beyond == 0) continue;
    if (goes) {
      place->set_owner(place->next());
      place->clear_next();
    }
    place->set_epoch(std::max(place->epoch(), shard.beyond) + 1);
  }
}

void Membership::write_table(std::int64_t now) {
  if (pending("table") || reads_.contains("table") || reading_.contains("table")) return;
  if (look_) look(now);
  const bool forgotten = stored_version_ < table_.version();
  const bool hands = waiting_ > 0 && (releasing_ == 0 || now - first_released_ >= kBatchMs);
  const bool proposes = propose_at_ >= 0 && now >= propose_at_;
  const bool wishes = any(wishes_, table_);
  if (!forgotten && !hands && !proposes && !wishes) return;

  v1::Placement next = table_;
  if (hands) hand_over(next);
  for (const auto& [node, wanted] : wishes_) {
    if (drained(next, node) != wanted) set_drained(next, node, wanted);
  }
  if (proposes) {
    const auto moving = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(shards_.size()) / kMovingPart);
    if (auto better = propose(next, members_, moving)) next = std::move(*better);
  }
  next.set_version(table_.version() + 1);
  put("table", next.SerializeAsString(), table_revision_);
  written_on_ = table_revision_;
  writing_ = std::move(next);
}

void Membership::publish() {
  if (!announce_) return;
  announce_ = false;
  auto topology = std::make_shared<Topology>();
  topology->self = self_.incarnation();
  topology->placement = table_;
  for (const auto& [incarnation, member] : members_) {
    if (member.status() == v1::Member::STATUS_LEFT) continue;
    if (incarnation == self_.incarnation() && !serves()) continue;
    topology->members.emplace(incarnation, member);
  }
  out_.topology = std::move(topology);
}

}  // namespace cx::cluster
