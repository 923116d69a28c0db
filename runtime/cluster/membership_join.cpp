// How a member comes, stays and goes.
#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <optional>

#include "runtime/cluster/membership.hpp"

namespace cx::cluster {
namespace {

constexpr std::int64_t kMinLeaseMs = 200;
constexpr std::int64_t kMaxLeaseMs = 60'000;
constexpr std::int64_t kTurnMs = 50;  ///< members of a higher rank wait so much longer each before they act
constexpr std::int64_t kAgainMs = 100;
constexpr std::size_t kMaxUnanswered = 64;
constexpr std::size_t kForgetAtOnce = 16;

struct Release {
  int major = 0, minor = 0;
};

std::optional<Release> release_of(std::string_view version) {
  Release release;
  const char* const end = version.data() + version.size();
  const auto major = std::from_chars(version.data(), end, release.major);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return std::nullopt;
  if (std::from_chars(major.ptr + 1, end, release.minor).ec != std::errc{}) return std::nullopt;
  return release;
}

bool work_together(std::string_view a, std::string_view b) {
  const auto one = release_of(a), other = release_of(b);
  if (!one || !other) return a == b;
  return one->major == other->major && std::abs(one->minor - other->minor) <= 1;
}

Error duplicate(const v1::Member& self, const v1::Member& other, const std::string& cluster) {
  return {Code::conflict, "duplicate-node",
          fmt::format("node {} is already a member of cluster {}: incarnation {} at {}:{}; stop that one, or "
                      "give this one a "
                      "name of its own (node, --node)",
                      self.node(), cluster, other.incarnation(), other.host(), other.port()),
          ""};
}

Error skew(const v1::Member& self, const v1::Member& other, const std::string& cluster) {
  return {Code::conflict, "version-skew",
          fmt::format("this node is of version {}, but node {} of cluster {} is of {}: nodes work together "
                      "when they are of the "
                      "same or of neighbouring releases; upgrade one release at a time",
                      self.version(), other.node(), cluster, other.version()),
          ""};
}

}  // namespace

void Membership::leave(std::int64_t now, std::int64_t grace) {
  if (leave_by_) return;
  leave_by_ = now + grace;
  self_.set_status(v1::Member::STATUS_DRAINING);
  renew_at_ = now;
  settle_ = true;
  advance(now);
}

/// Nobody may have our name or be of another age. Whoever does may be dead: then it stays silent.
void Membership::check(std::int64_t) {
  if (table_broken_) {
    return refuse({Code::conflict, "invalid-placement",
                   fmt::format("key \"table\" of bucket {}_members is not a placement of {} shards: it is of "
                               "another version, or "
                               "somebody else uses the bucket",
                               cluster_, shards_.size()),
                   ""});
  }
  bool clear = true;
  for (const auto& [incarnation, member] : members_) {
    if (member.status() == v1::Member::STATUS_LEFT) continue;
    const bool same = member.node() == self_.node();
    if (!same && work_together(member.version(), self_.version())) continue;
    if (seen_[incarnation].changes >= 2) {
      return refuse(same ? duplicate(self_, member, cluster_) : skew(self_, member, cluster_));
    }
    clear = false;
  }
  if (clear) stage_ = Stage::creating;
}

/// Of two that came at the same time each saw the other, or the one that came later did: keys are never
/// removed before they say LEFT. Whoever has renewed stays; else the lower incarnation does, but waits until
/// the other has gone.
void Membership::confirm(std::int64_t now) {
  for (const auto& [incarnation, member] : members_) {
    if (incarnation == self_.incarnation() || member.node() != self_.node() ||
        member.status() == v1::Member::STATUS_LEFT) {
      continue;
    }
    if (member.renewal() > 0 || incarnation < self_.incarnation()) {
      return refuse(duplicate(self_, member, cluster_));
    }
    return;
  }
  stage_ = Stage::entering;
  renew_at_ = now;
}

void Membership::renew(std::int64_t now) {
  if (stage_ != Stage::creating && stage_ != Stage::entering && stage_ != Stage::serving) return;
  if (now < renew_at_ || pending(key()) || reads_.contains(key()) || reading_.contains(key())) return;
  renew_at_ = now + lease() / 4;
  if (stage_ != Stage::creating) {
    self_.set_renewal(++renewal_);
    sent_[renewal_] = now;
    if (sent_.size() > kMaxUnanswered) sent_.erase(sent_.begin());
  }
  put(key(), self_.SerializeAsString(), self_revision_);
}

void Membership::depart(std::int64_t now) {
  if (!leave_by_ || stage_ == Stage::left) return;
  if (stage_ == Stage::serving) {
    const bool owns = std::any_of(table_.shards().begin(), table_.shards().end(),
                                  [&](const auto& place) { return place.owner() == self_.incarnation(); });
    const bool serving = std::any_of(shards_.begin(), shards_.end(), [](const Shard& shard) {
      return shard.held == Held::held || shard.held == Held::releasing;
    });
    if (owns && !lapsed_ && now < *leave_by_ && (serving || settle_ || somebody_receives())) return;
    drop_all();
  }
  if (stage_ != Stage::leaving) {
    const bool there = self_revision_ > 0 && stage_ != Stage::out && stage_ != Stage::refused;
    stage_ = there ? Stage::leaving : Stage::left;
    renew_at_ = now;
    announce_ = true;
  }
  if (stage_ != Stage::leaving) return;
  if (now > *leave_by_ + lease()) {
    stage_ = Stage::left;  // without having been able to say so
  } else if (now >= renew_at_ && !pending(key()) && !reads_.contains(key()) && !reading_.contains(key())) {
    self_.set_status(v1::Member::STATUS_LEFT);
    renew_at_ = now + kAgainMs;
    put(key(), self_.SerializeAsString(), self_revision_);
  }
}

void Membership::refuse(Error error) {
  refusal_ = std::move(error);
  stage_ = Stage::refused;
  if (self_revision_ == 0 || pending(key())) return;
  self_.set_status(v1::Member::STATUS_LEFT);
  put(key(), self_.SerializeAsString(), self_revision_);  // if it gets lost, others will find it silent
}

void Membership::go_out() {
  drop_all();
  stage_ = Stage::out;
  auto& self = members_[self_.incarnation()];
  self = self_;
  self.set_status(v1::Member::STATUS_LEFT);
  look_ = announce_ = true;
  out_.log.push_back(fmt::format("incarnation {} was declared dead", self_.incarnation()));
}

/// Declares dead who has not changed its key for longer than its lease and the margin, as seen by us. That
/// the key has not changed since is the condition of the declaration, so that one who is alive after all
/// keeps its place.
void Membership::bury(std::int64_t now) {
  if (joined() && (lapsed_ || now - heard_ > lease() / 2)) return;  // it is we who are cut off
  for (const auto& [incarnation, member] : members_) {
    const std::string key = "member." + incarnation;
    if (member.status() == v1::Member::STATUS_LEFT || incarnation == self_.incarnation() || pending(key) ||
        reads_.contains(key) || reading_.contains(key)) {
      continue;
    }
    const auto& seen = seen_[incarnation];
    const auto theirs = std::clamp<std::int64_t>(member.lease_ms(), kMinLeaseMs, kMaxLeaseMs);
    const std::int64_t turn =
        stage_ == Stage::checking && member.node() == self_.node() ? 0 : rank() * kTurnMs;
    if (now - std::max(seen.at, watching_) <= theirs + margin(theirs) + turn) continue;
    v1::Member dead = member;
    dead.set_status(v1::Member::STATUS_LEFT);
    dead.set_ended_by(self_.incarnation());
    put(key, dead.SerializeAsString(), seen.revision);
  }
}

/// Those who left long ago are erased, by the first of the members; the others only forget them.
void Membership::tidy(std::int64_t now) {
  std::size_t erased = 0;
  for (auto it = members_.begin(); it != members_.end() && erased < kForgetAtOnce;) {
    const auto seen = seen_.find(it->first);
    const std::int64_t since = seen == seen_.end() ? advanced_ : seen->second.at;
    const bool first = rank() == 0;
    if (it->second.status() != v1::Member::STATUS_LEFT || it->first == self_.incarnation() ||
        now - since <= (first ? kForgetMs : 2 * kForgetMs)) {
      ++it;
      continue;
    }
    if (first && seen != seen_.end() && seen->second.revision > 0)
      out_.forget.push_back("member." + it->first);
    if (seen != seen_.end()) seen_.erase(seen);
    it = members_.erase(it);
    ++erased;
  }
}

}  // namespace cx::cluster
