#include "runtime/cluster/outgoing.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

namespace cx::cluster {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
// Before an owner that refused a shard is asked again.
constexpr std::int64_t kFirstPause = 2;
constexpr std::int64_t kLongestPause = 16;
// That the first of the waiting ones gets ahead of the others, after a refusal.
constexpr std::int64_t kAhead = 20;
// Deadlines are looked at in steps, and far ones again after a while: most requests are gone by then.
constexpr std::int64_t kStep = 4;
constexpr std::int64_t kLookAgain = 256;

Error shard_moving(std::uint32_t shard) {
  return {Code::unavailable, "shard-moving",
          fmt::format("Shard {} is on its way to another node, and did not arrive in time; nothing was done, "
                      "retry.",
                      shard),
          ""};
}

Error owner_unreachable(std::uint32_t shard) {
  return {Code::unavailable, "node-unreachable",
          fmt::format("The node that owns shard {} could not be reached in time; nothing was done, retry.",
                      shard),
          ""};
}

Error too_late(bool sent) {
  return {Code::deadline_exceeded, "deadline-exceeded",
          sent ? "The node that owns the entity did not answer in time. Whether the command took effect is "
                 "unknown: retry it with its idempotency key."
               : "The time was over before the node that owns the entity could be reached; nothing was done.",
          ""};
}

Error outcome_unknown(const std::string& node) {
  return {
      Code::unavailable, "outcome-unknown",
      fmt::format("The connection to node {} was lost before it answered. Whether the command took effect "
                  "is unknown: retry it with its idempotency key.",
                  node),
      ""};
}

Error unreachable(const std::string& node) {
  return {Code::unavailable, "node-unreachable",
          fmt::format("Node {} cannot be reached, or did not answer; retry in a second.", node), ""};
}

Error stopping() {
  return {Code::unavailable, "stopping", "This node is stopping; nothing was done, ask another one.", ""};
}

Error overloaded(const std::string* member) {
  return {Code::overloaded, "overloaded",
          fmt::format("As many requests as may {}; nothing was done, retry in a second.",
                      member == nullptr ? "wait for shards that no node serves at the moment"
                                        : "be under way to member " + *member + " of the cluster are"),
          ""};
}

bool is_question(const Request& request) {
  return request.kind == nullptr;
}

/// Whether handling it twice is the same as once.
bool is_safe(const Request& request) {
  return (request.type != nullptr && request.type->query) || !request.source.empty();
}

}  // namespace

Outgoing::Outgoing(Limits limits, OutgoingPort& port, Counts& counts)
    : limits_(limits), port_(port), counts_(counts) {}

void Outgoing::submit(Request request, Respond respond, std::int64_t deadline, std::int64_t now) {
  if (stopped_) return respond(stopping());
  if (deadline != 0 && deadline <= now) return respond(too_late(false));
  auto& lane = lanes_[request.shard % kShards];
  const auto taken = waiters(lane) + (lane.owned ? lane.owner->second.sent : 0);
  // Shards that move take what waits for them along: hence a limit for all together, too.
  if (taken >= limits_.credit || waiting_.size() >= limits_.credit * (members_.size() + 1)) {
    counts_.overloaded.add();
    return respond(overloaded(lane.owned ? &lane.owner->first : nullptr));
  }
  const auto held = all_.try_emplace(++last_id_).first;
  held->second.request = std::move(request);
  held->second.respond = std::move(respond);
  held->second.deadline = deadline;
  held->second.waits_since = now;
  if (lane.waiting == 0 && !lane.probe && ready(lane, now)) {
    dispatch(held, now);
  } else {
    const auto shard = held->second.request.shard;
    wait(held, now);
    pump(shard, now);
  }
  gauge();
}

void Outgoing::ask(const std::string& member, MessagePtr question, Respond respond, std::int64_t deadline,
                   std::int64_t now) {
  if (stopped_) return respond(stopping());
  const auto to = members_.find(member);
  if (to == members_.end() || !to->second.linked) return respond(unreachable(member));
  if (to->second.sent >= limits_.credit) {
    counts_.overloaded.add();
    return respond(overloaded(&member));
  }
  const auto held = all_.try_emplace(++last_id_).first;
  auto& asked = held->second;
  asked.request.shard = kShards;
  asked.request.command = std::move(question);
  asked.respond = std::move(respond);
  asked.deadline = deadline;
  asked.where = Held::sent;
  asked.to = to;
  ++to->second.sent;
  time(held->first, asked, now);
  if (auto error = port_.send(member, held->first, asked.request, {0, 0, 0})) finish(held, std::move(*error));
  gauge();
}

bool Outgoing::ready(const Lane& lane, std::int64_t now) const {
  if (now < lane.paused_until) return false;
  if (lane.here) return here_ < limits_.credit;
  return lane.owned && lane.owner->second.linked && lane.owner->second.sent < limits_.credit;
}

void Outgoing::wait(All::iterator held, std::int64_t now) {
  const auto shard = held->second.request.shard;
  held->second.where = Held::waits;
  waiting_.emplace(shard, held->first);
  ++lanes_[shard].waiting;
  ++waiters(lanes_[shard]);
  time(held->first, held->second, now);
}

/// Takes it out of what counts where it is.
void Outgoing::leave(Held& held) {
  if (held.where == Held::sent) {
    --held.to->second.sent;
  } else if (held.where == Held::here) {
    --here_;
    --adrift_;
  } else {
    auto& lane = lanes_[held.request.shard];
    --lane.waiting;
    --waiters(lane);
  }
}

void Outgoing::dispatch(All::iterator it, std::int64_t now) {
  auto& [id, held] = *it;
  auto& lane = lanes_[held.request.shard];
  held.version = topology_->placement.version();
  if (lane.here) {
    held.where = Held::here;
    ++here_;
    ++adrift_;
    time(id, held, now);
    auto copy = held.request;
    copy.here_only = true;
    return port_.serve(id, std::move(copy));
  }
  held.where = Held::sent;
  held.to = lane.owner;
  ++held.to->second.sent;
  counts_.sent.add();
  time(id, held, now);
  const auto left = held.deadline == 0 ? 0 : std::max<std::int64_t>(1, held.deadline - now);
  const Stamp stamp{lane.epoch, held.version, static_cast<std::uint32_t>(std::min<std::int64_t>(left, ~0u))};
  if (auto error = port_.send(held.to->first, id, held.request, stamp)) finish(it, std::move(*error));
}

void Outgoing::pump(std::uint32_t shard, std::int64_t now) {
  auto& lane = lanes_[shard];
  while (lane.waiting > 0 && ready(lane, now)) {
    const auto first = waiting_.lower_bound({shard, 0});
    const auto held = all_.find(first->second);
    waiting_.erase(first);
    leave(held->second);
    if (lane.probe) {
      lane.probe = false;
      lane.paused_until = now + kAhead;
    }
    dispatch(held, now);
  }
}

void Outgoing::pump_all(std::int64_t now) {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const auto shard = at->first;
    pump(shard, now);
    at = waiting_.lower_bound({shard + 1, 0});
  }
}

void Outgoing::finish(All::iterator held, Answer answer) {
  const auto respond = std::move(held->second.respond);
  if (held->second.where == Held::waits) waiting_.erase({held->second.request.shard, held->first});
  leave(held->second);
  all_.erase(held);
  if (respond) respond(std::move(answer));
}

void Outgoing::update(TopologyPtr topology, std::int64_t now) {
  if (stopped_) return;
  const auto& placement = topology->placement;
  if (topology_ && topology_->self == topology->self && placement.version() < topology_->placement.version())
    return;
  topology_ = std::move(topology);
  for (auto& [name, member] : members_) member.waiting = 0;
  adrift_ = here_;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    auto& lane = lanes_[shard];
    const auto& place = static_cast<int>(shard) < topology_->placement.shards_size()
                            ? topology_->placement.shards(static_cast<int>(shard))
                            : v1::ShardPlace::default_instance();
    const auto before = std::tuple(lane.owned ? lane.owner->first : std::string(), lane.here, lane.epoch);
    lane.here = !place.owner().empty() && place.owner() == topology_->self;
    lane.owned = !lane.here && !place.owner().empty() && topology_->members.contains(place.owner());
    if (lane.owned) lane.owner = members_.try_emplace(place.owner()).first;
    lane.epoch = place.epoch();
    if (before != std::tuple(lane.owned ? lane.owner->first : std::string(), lane.here, lane.epoch)) {
      lane.probe = false;
      lane.pause = lane.paused_until = 0;
    }
    waiters(lane) += lane.waiting;
  }
  for (auto at = members_.begin(); at != members_.end();) {
    const auto& [name, member] = *at;
    const bool gone = !member.linked && member.sent == 0 && !topology_->members.contains(name);
    at = gone ? members_.erase(at) : std::next(at);
  }
  pump_all(now);
  gauge();
}

void Outgoing::linked(const std::string& member, std::int64_t now) {
  if (stopped_) return;
  members_[member].linked = true;
  pump_all(now);
  gauge();
}

void Outgoing::unlinked(const std::string& member, std::int64_t now) {
  const auto lost = members_.find(member);
  if (lost == members_.end()) return;
  lost->second.linked = false;
  std::vector<std::uint64_t> open;
  for (const auto& [id, held] : all_)
    if (held.where == Held::sent && held.to == lost) open.push_back(id);
  std::sort(open.begin(), open.end());
  auto name = member;
  if (topology_ && topology_->members.contains(member)) name = topology_->members.at(member).node();
  for (const auto id : open) {
    const auto held = all_.find(id);
    if (is_question(held->second.request)) {
      finish(held, unreachable(name));
    } else if (!held->second.respond) {
      finish(held, MessagePtr());
    } else if (is_safe(held->second.request)) {
      leave(held->second);
      held->second.waits_since = now;
      counts_.retried.add();
      wait(held, now);
    } else {
      counts_.unknown.add();
      finish(held, outcome_unknown(name));
    }
  }
  pump_all(now);
  gauge();
}

void Outgoing::answered(std::uint64_t id, Answer answer, std::int64_t now) {
  const auto it = all_.find(id);
  if (it == all_.end() || it->second.where == Held::waits) return;
  auto& held = it->second;
  const bool refused = !answer && answer.error().type == kNotHere;
  if (is_question(held.request) || !held.respond) {
    finish(it, std::move(answer));
  } else if (!refused) {
    const auto shard = held.request.shard;
    auto& lane = lanes_[shard];
    if (topology_ && held.version == topology_->placement.version()) {
      lane.probe = false;
      lane.pause = lane.paused_until = 0;
    }
    finish(it, std::move(answer));
    if (lane.waiting > 0) pump(shard, now);
  } else {
    const auto shard = held.request.shard;
    auto& lane = lanes_[shard];
    leave(held);
    counts_.retried.add();
    if (held.version == topology_->placement.version() && !lane.probe) {
      lane.probe = true;
      lane.pause = std::clamp(2 * lane.pause, kFirstPause, kLongestPause);
      lane.paused_until = now + lane.pause;
    }
    wait(it, now);
    pump(shard, now);
  }
  gauge();
}

std::int64_t Outgoing::limit_of(const Held& held) const {
  const auto deadline = held.deadline == 0 ? kNever : held.deadline;
  if (!held.respond) return kNever;
  return held.where == Held::waits ? std::min(deadline, held.waits_since + limits_.patience_ms) : deadline;
}

void Outgoing::time(std::uint64_t id, Held& held, std::int64_t now) {
  const auto limit = limit_of(held);
  if (held.timed || limit == kNever) return;
  held.timed = true;
  due_[(std::min(limit, now + kLookAgain) + kStep - 1) / kStep].push_back(id);
}

void Outgoing::expire(All::iterator it, std::int64_t now) {
  auto& held = it->second;
  counts_.expired.add();
  const bool over = held.deadline != 0 && held.deadline <= now;
  if (held.where == Held::waits) {
    const auto shard = held.request.shard;
    const bool cut = lanes_[shard].owned && !lanes_[shard].owner->second.linked;
    return finish(it, over ? too_late(false) : cut ? owner_unreachable(shard) : shard_moving(shard));
  }
  // The answer is not waited for, but takes room until it comes.
  const auto respond = std::exchange(held.respond, nullptr);
  const bool question = is_question(held.request);
  held.request.command = nullptr;
  held.request.along.clear();
  respond(question ? unreachable(held.to->first) : too_late(true));
}

void Outgoing::tick(std::int64_t now) {
  while (!due_.empty() && due_.begin()->first <= now / kStep) {
    const auto ids = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    for (const auto id : ids) {
      const auto it = all_.find(id);
      if (it == all_.end()) continue;
      it->second.timed = false;
      if (limit_of(it->second) <= now)
        expire(it, now);
      else
        time(id, it->second, now);
    }
  }
  pump_all(now);
  gauge();
}

void Outgoing::stop() {
  if (std::exchange(stopped_, true)) return;
  while (!all_.empty()) {
    const auto it = all_.begin();
    const auto& held = it->second;
    const bool harmless = held.where == Held::waits || is_question(held.request) || held.request.type->query;
    finish(it, harmless ? stopping() : outcome_unknown("of the owner"));
  }
  gauge();
}

void Outgoing::gauge() {
  counts_.waiting.store(static_cast<std::int64_t>(waiting_.size()), std::memory_order_relaxed);
  counts_.under_way.store(static_cast<std::int64_t>(all_.size() - waiting_.size()),
                          std::memory_order_relaxed);
}

}  // namespace cx::cluster
