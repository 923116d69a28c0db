#include "runtime/cluster/membership.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace cx::cluster {
namespace {

constexpr std::string_view kTable = "table";
constexpr std::string_view kMember = "member.";
constexpr std::size_t kMaxValue = 4 << 20;
constexpr std::int64_t kReadAgainMs = 100;
constexpr std::int64_t kFollowerMs = 50;  ///< the follower usually shows within it who was faster than we

bool parse(google::protobuf::Message& into, std::string_view bytes) {
  return bytes.size() <= kMaxValue && into.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

/// Whether others have to know at once.
bool matters(const v1::Member& a, const v1::Member& b) {
  return a.status() != b.status() || (a.renewal() > 0) != (b.renewal() > 0) || a.weight() != b.weight() ||
         a.host() != b.host() || a.port() != b.port() || a.http() != b.http() || a.node() != b.node();
}

}  // namespace

Membership::Membership(v1::Member identity, std::string cluster, std::uint32_t shards)
    : identity_(std::move(identity)),
      cluster_(std::move(cluster)),
      table_(empty_placement(shards)),
      shards_(shards) {}

void Membership::join(std::int64_t now, std::string incarnation, std::int64_t unix_ms) {
  drop_all();
  puts_.erase(key());
  self_ = identity_;
  self_.set_incarnation(std::move(incarnation));
  self_.set_joined_at(unix_ms);
  self_.set_renewal(0);
  self_.set_status(v1::Member::STATUS_SERVING);
  self_.clear_ended_by();
  stage_ = Stage::checking;
  confirmed_ = lapsed_ = false;
  self_revision_ = renewal_ = 0;
  sent_.clear();
  renewed_ = 0;
  renew_at_ = heard_ = watching_ = advanced_ = now;
  for (auto& [_, seen] : seen_) seen.changes = 0;
  for (auto& shard : shards_) shard = {};
  look_ = settle_ = announce_ = true;
  propose_at_ = -1;
  out_.list = !loaded_;
  advance(now);
}

Membership::Commands Membership::commands() {
  return std::exchange(out_, {});
}

bool Membership::holds(std::uint32_t shard, std::int64_t now) const {
  const auto held = shards_[shard].held;
  return serves() && now < deadline() && (held == Held::held || held == Held::releasing);
}

/// Of this member among those who serve, by incarnation; last while it joins.
std::int64_t Membership::rank() const {
  std::int64_t before = 0;
  for (const auto& [incarnation, member] : members_) {
    if (joined() && incarnation >= self_.incarnation()) break;
    if (member.status() != v1::Member::STATUS_LEFT) ++before;
  }
  return std::min<std::int64_t>(before, 20);
}

void Membership::put(const std::string& key, std::string value, std::uint64_t after) {
  puts_.insert(key);
  out_.puts.push_back({key, std::move(value), after});
}

void Membership::ask(const std::string& key, std::int64_t at) {
  const auto [it, added] = reads_.emplace(key, at);
  if (!added) it->second = std::min(it->second, at);
}

void Membership::advance(std::int64_t now) {
  // Who has not looked for a while knows nothing of how long others were silent.
  if (now - advanced_ > lease() / 4) watching_ = now;
  advanced_ = now;
  lapse(now);
  if (stage_ == Stage::checking && loaded_) check(now);
  if (stage_ == Stage::confirming && confirmed_) confirm(now);
  renew(now);
  depart(now);
  if (loaded_ && stage_ >= Stage::checking && stage_ <= Stage::serving) bury(now);
  if (settle_) settle(now);
  if (serves()) {
    write_table(now);
    tidy(now);
  }
  for (auto it = reads_.begin(); it != reads_.end();) {
    if (it->second > now || reading_.contains(it->first)) {
      ++it;
      continue;
    }
    reading_.insert(it->first);
    out_.reads.push_back(it->first);
    it = reads_.erase(it);
  }
  publish();
}

void Membership::shown(std::int64_t now, const std::string& key, std::uint64_t revision,
                       std::string_view value) {
  followed_ = std::max(followed_, revision);
  if (key == kTable) {
    if (revision > table_revision_) see_table(revision, value);
  } else if (key.starts_with(kMember)) {
    see_member(now, key.substr(kMember.size()), revision, value);
  }
  advance(now);
}

void Membership::caught_up(std::int64_t now) {
  if (!loaded_) watching_ = now;
  loaded_ = true;
  if (stage_ == Stage::confirming && followed_ >= self_revision_) confirmed_ = true;
  advance(now);
}

void Membership::read(std::int64_t now, const std::string& key, const std::optional<Found>& found) {
  reading_.erase(key);
  if (!found) {
    ask(key, now + kReadAgainMs);
  } else if (key == kTable) {
    // The leader's word on what the next condition has to be, even where it has forgotten what we know.
    if (found->revision == 0) {
      table_revision_ = stored_version_ = 0;
    } else {
      see_table(found->revision, found->value);
    }
  } else if (key.starts_with(kMember)) {
    const auto incarnation = key.substr(kMember.size());
    if (found->revision == 0) {
      see_gone(now, incarnation);
    } else {
      see_member(now, incarnation, found->revision, found->value, true);
    }
  }
  advance(now);
}

void Membership::outcome(std::int64_t now, const std::string& key, Outcome outcome, std::uint64_t revision) {
  puts_.erase(key);
  if (key == kTable) {
    if (outcome == Outcome::stored && writing_ && revision > table_revision_) {
      see_table(revision, writing_->SerializeAsString());
    } else if (outcome == Outcome::unknown) {
      ask(key, now);
    } else if (outcome == Outcome::refused && table_revision_ == written_on_) {
      ask(key, now + kFollowerMs);
    }
    writing_.reset();
    look_ = true;
  } else if (key == this->key()) {
    if (outcome == Outcome::stored) {
      see_self(now, revision, self_);
    } else if (outcome == Outcome::refused) {
      ask(key, now);
    } else {
      renew_at_ = std::min(renew_at_, now + std::min<std::int64_t>(kReadAgainMs, lease() / 4));
    }
  } else if (key.starts_with(kMember)) {  // of one that we declared dead
    const auto it = members_.find(key.substr(kMember.size()));
    if (outcome == Outcome::stored && it != members_.end()) {
      auto member = it->second;
      member.set_status(v1::Member::STATUS_LEFT);
      member.set_ended_by(self_.incarnation());
      out_.log.push_back(fmt::format("node {} (incarnation {}) was silent for too long and is declared dead",
                                     member.node(), member.incarnation()));
      see_member(now, it->first, revision, member.SerializeAsString());
      eager_ = look_ = true;  // whoever buries takes care of the estate
    } else {
      ask(key, now);
    }
  }
  advance(now);
}

void Membership::see_table(std::uint64_t revision, std::string_view value) {
  table_revision_ = revision;
  reads_.erase(std::string(kTable));
  v1::Placement table;
  table_broken_ = !parse(table, value) || static_cast<std::size_t>(table.shards_size()) != shards_.size();
  // One that is older than what we have seen is one that the server has forgotten the successors of: ours is
  // said again.
  stored_version_ = table_broken_ ? 0 : table.version();
  if (!table_broken_ && table.version() > table_.version()) {
    table_ = std::move(table);
    propose_at_ = -1;
    announce_ = true;
  }
  for (auto it = wishes_.begin(); it != wishes_.end();) {
    it = drained(table_, it->first) == it->second ? wishes_.erase(it) : std::next(it);
  }
  look_ = settle_ = true;
}

void Membership::see_member(std::int64_t now, const std::string& incarnation, std::uint64_t revision,
                            std::string_view value, bool leader) {
  v1::Member member;
  if (!parse(member, value) || incarnation.empty() || member.incarnation() != incarnation) return;
  if (incarnation == self_.incarnation()) {
    if (leader || revision > self_revision_) see_self(now, revision, member);
    return;
  }
  auto& seen = seen_[incarnation];
  if (revision == seen.revision || (revision < seen.revision && !leader)) return;
  const bool known = seen.revision > 0;
  seen = {revision, now, seen.changes + (known ? 1 : 0)};
  reads_.erase(std::string(kMember) + incarnation);
  note(member);
}

void Membership::see_gone(std::int64_t now, const std::string& incarnation) {
  if (incarnation == self_.incarnation()) {
    if (self_revision_ > 0) go_out();
    return;
  }
  auto& member = members_[incarnation];
  member.set_incarnation(incarnation);
  member.set_status(v1::Member::STATUS_LEFT);
  seen_[incarnation].at = now;
  look_ = announce_ = true;
}

void Membership::note(const v1::Member& member) {
  auto& known = members_[member.incarnation()];
  if (known.status() == v1::Member::STATUS_LEFT) return;  // for good
  if (matters(known, member)) look_ = settle_ = announce_ = true;
  known = member;
}

void Membership::see_self(std::int64_t now, std::uint64_t revision, const v1::Member& member) {
  if (stage_ == Stage::out || stage_ == Stage::left || stage_ == Stage::refused) return;
  if (member.status() == v1::Member::STATUS_LEFT) {
    if (stage_ == Stage::leaving && member.ended_by().empty()) {
      stage_ = Stage::left;
    } else {
      go_out();
    }
    return;
  }
  self_revision_ = revision;
  reads_.erase(key());
  note(member);
  // The lease runs from when the renewal was sent: nobody can have seen it earlier.
  if (const auto it = sent_.find(member.renewal()); it != sent_.end()) {
    renewed_ = std::max(renewed_, it->second);
    sent_.erase(sent_.begin(), std::next(it));
    if (now - heard_ > lease() / 2) watching_ = now;  // others could not be heard either
    heard_ = now;
  }
  if (stage_ == Stage::creating) {
    stage_ = Stage::confirming;
    out_.list = true;
  }
  if (stage_ == Stage::entering && member.renewal() > 0) {
    stage_ = Stage::serving;
    settle_ = look_ = announce_ = true;
    out_.log.push_back(fmt::format("node {} is a member of cluster {} as incarnation {}", self_.node(),
                                   cluster_, self_.incarnation()));
  }
  lapse(now);
}

}  // namespace cx::cluster
