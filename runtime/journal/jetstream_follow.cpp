// How a node's copy follows the stream; the rest is in jetstream_journal.cpp.

#include <algorithm>
#include <charconv>
#include <spdlog/spdlog.h>
#include <thread>
#include <utility>
#include <xxhash.h>

#include "runtime/journal/jetstream_journal.hpp"
#include "runtime/uuid.hpp"

namespace cx {
namespace {

constexpr std::size_t kBatchMessages = 512;
constexpr std::size_t kBatchBytes = std::size_t{4} << 20;
constexpr std::uint64_t kNoteEvery = 4096;  // messages that were known: what a restart reads again
constexpr std::chrono::milliseconds kPause(100);

/// kShards where it is not a shard's.
std::uint32_t shard_of_subject(std::string_view subject) {
  const auto name = subject.substr(subject.rfind('.') + 1);
  std::uint32_t shard = kShards;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), shard);
  return error == std::errc() && end == name.data() + name.size() && shard < kShards ? shard : kShards;
}

}  // namespace

std::optional<Error> JetStreamJournal::start() {
  nats::StreamConfig config;
  config.name = writer_.stream();
  config.subjects = {parts_.cluster + ".journal.*"};
  config.replicas = parts_.replicas;
  const auto until = deadline();
  // Again while the servers may be choosing a leader.
  const auto patiently = [until](auto attempt) -> std::optional<Error> {
    for (;;) {
      auto error = attempt();
      if (!error) return std::nullopt;
      const bool may_pass = error->type == "unavailable" || error->type == "timeout";
      if (!may_pass || std::chrono::steady_clock::now() > until) return error;
      std::this_thread::sleep_for(kPause);
    }
  };
  auto error = patiently([&] {
    auto failed = parts_.jetstream.ensure(config);
    return failed ? failed : checkpoints_.ensure(parts_.replicas);
  });
  if (error) return error;
  auto replica = Replica::open(parts_.directory + "/replica", parts_.environment, !parts_.sabotage.no_fence);
  if (!replica) return replica.error();
  replica_ = std::move(*replica);
  if ((error = patiently([this] { return check_origin(); }))) return error;
  if ((error = restore_old())) return error;
  return follow();
}

Error JetStreamJournal::foreign(const std::string& why) const {
  const std::string place = parts_.directory + "/replica";
  return {
      Code::conflict, "foreign-replica",
      "The copy of the journal in " + place + " does not belong to the stream " + writer_.stream() + ": " +
          why +
          ". It was left alone, since it may hold what the stream has lost. Check that the node is "
          "connected to the right servers, and that they were not set back; to go on with what the stream "
          "has, move " +
          place + " away.",
      ""};
}

/// The first message of the stream names it.
std::optional<Error> JetStreamJournal::check_origin() {
  auto& jetstream = parts_.jetstream;
  const std::string subject = parts_.cluster + ".journal.origin";
  auto origin = jetstream.last(writer_.stream(), subject);
  if (!origin && origin.error().type == "not-found") {
    auto& environment = parts_.environment;
    const auto stored = jetstream.publish(
        subject, uuid7(environment.clock().unix_ms(), environment.random(), environment.random()), {}, 0);
    if (!stored && stored.error().type != "wrong-last-sequence") return stored.error();
    origin = jetstream.last(writer_.stream(), subject);
  }
  if (!origin) return origin.error();
  if (replica_->origin().empty()) return replica_->set_origin(origin->payload);
  if (replica_->origin() != origin->payload)
    return foreign("it is of one that was called " + replica_->origin() + ", this is " + origin->payload);

  const auto state = jetstream.state(writer_.stream());
  if (!state) return state.error();
  const auto through = replica_->through();
  Replica::Place place;
  for (std::uint32_t shard = 0; shard < kShards; ++shard)
    if (const auto other = replica_->place(shard); other.applied > place.applied) place = other;
  const std::uint64_t newest = std::max(through.sequence, place.applied);
  if (newest > state->last)
    return foreign("it has message " + std::to_string(newest) + ", the stream ends with message " +
                   std::to_string(state->last));
  if (place.attempt != 0) {
    const auto written = jetstream.get(writer_.stream(), place.applied);
    if (!written && written.error().type != "not-found") return written.error();
    const auto entry = written ? parse_entry(written->payload) : parse_entry({});
    if (written && (!entry || entry->attempt() != place.attempt))
      return foreign("message " + std::to_string(place.applied) + " differs");
  }
  if (through.sequence == 0) return std::nullopt;
  const auto known = jetstream.get(writer_.stream(), through.sequence);
  if (!known && known.error().type == "not-found") return std::nullopt;  // purged
  if (!known) return known.error();
  if (XXH3_64bits(known->payload.data(), known->payload.size()) != through.checksum)
    return foreign("message " + std::to_string(through.sequence) + " differs");
  return std::nullopt;
}

/// Shards of which messages that we have not seen were purged.
std::optional<Error> JetStreamJournal::restore_old() {
  const auto checkpoints = checkpoints_.all();
  if (!checkpoints) return checkpoints.error();
  for (const auto& checkpoint : *checkpoints) {
    const auto place = replica_->place(checkpoint.shard());
    if (checkpoint.upto() <= place.applied) continue;
    if (place.applied > 0) {
      // As long as that one is there, those behind it are.
      const auto kept = parts_.jetstream.get(writer_.stream(), place.applied);
      if (kept) continue;
      if (kept.error().type != "not-found") return kept.error();
    }
    if (auto error = checkpoints_.restore(*replica_, checkpoint.shard(), place.applied)) return error;
  }
  return std::nullopt;
}

std::optional<Error> JetStreamJournal::follow() {
  const std::lock_guard following(following_);
  const std::uint64_t from = replica_->through().sequence + 1;
  {
    const std::lock_guard lock(caught_up_mutex_);
    caught_up_ = false;
  }
  noted_ = from - 1;
  follower_ = parts_.jetstream.follow(
      writer_.stream(), "", from, [this](nats::Stored&& stored) { arrived(std::move(stored)); },
      [this] {
        flush();
        const std::lock_guard lock(caught_up_mutex_);
        caught_up_ = true;
        caught_up_wake_.notify_all();
      });
  std::unique_lock lock(caught_up_mutex_);
  std::uint64_t seen = followed_;
  while (!caught_up_wake_.wait_for(lock, parts_.patience, [&] { return caught_up_; })) {
    if (followed_ == seen)
      return Error{Code::unavailable, "unavailable",
                   "The stream " + writer_.stream() + " could not be read for " +
                       std::to_string(parts_.patience.count()) +
                       " ms. Look whether the servers of NATS are well.",
                   ""};
    spdlog::info("the copy of {} is at message {}", writer_.stream(), seen = followed_);
  }
  return std::nullopt;
}

void JetStreamJournal::end_following() {
  const std::lock_guard following(following_);
  if (!follower_) return;
  follower_.reset();
  noted_ = 0;  // so that what is flushed now is noted
  flush();
}

std::optional<Error> JetStreamJournal::reload() {
  end_following();
  if (auto error = replica_->reload()) return error;
  return follow();
}

void JetStreamJournal::arrived(nats::Stored&& stored) {
  arrived_bytes_ += stored.payload.size();
  arrived_.push_back(std::move(stored));
  if (arrived_.size() >= kBatchMessages || arrived_bytes_ >= kBatchBytes) flush();
}

void JetStreamJournal::flush() {
  if (arrived_.empty()) return;
  const auto batch = std::exchange(arrived_, {});
  arrived_bytes_ = 0;
  const auto& last = batch.back();
  const Replica::Through through{last.sequence, XXH3_64bits(last.payload.data(), last.payload.size())};
  std::vector<LogMessage> messages;
  for (const auto& stored : batch) {
    const std::uint32_t shard = shard_of_subject(stored.subject);
    if (shard == kShards || stored.sequence <= replica_->place(shard).seen) continue;
    auto entry = parse_entry(stored.payload);
    if (entry)
      messages.push_back({shard, stored.sequence, std::move(*entry), stored.payload.size()});
    else
      replica_->distrust(shard, "message " + std::to_string(stored.sequence) + " cannot be read");
  }
  {
    const std::lock_guard lock(caught_up_mutex_);
    followed_ = through.sequence;
  }
  if (messages.empty() && noted_ > 0 && through.sequence - noted_ < kNoteEvery) return;
  auto taken = replica_->take(messages, through);
  noted_ = through.sequence;
  for (const std::uint32_t shard : taken.gaps)
    if (!repair(shard, through.sequence, taken.followed)) return;
  if (!taken.gaps.empty()) (void)replica_->take({}, through);
  std::ranges::sort(taken.followed);
  const auto repeated = std::ranges::unique(taken.followed);
  taken.followed.erase(repeated.begin(), repeated.end());
  const std::lock_guard lock(applied_mutex_);
  if (!applied_) return;
  for (const std::uint32_t shard : taken.followed) applied_(shard);
}

/// Brings a shard that has missed messages to `upto`; false if it has to be left at that.
bool JetStreamJournal::repair(std::uint32_t shard, std::uint64_t upto, std::vector<std::uint32_t>& followed) {
  bool gap = false;
  std::optional<std::uint64_t> restored;  // where the shard stood after a checkpoint
  while (!stopping_.load() && !replica_->failed()) {
    if (gap) {
      const auto place = replica_->place(shard);
      const auto error =
          restored == place.seen ? std::nullopt : checkpoints_.restore(*replica_, shard, place.applied);
      if (restored == place.seen || (error && error->type == "not-found")) {
        replica_->distrust(shard, "messages before one that it got are missing, and no checkpoint has them");
        return true;
      }
      gap = error.has_value();
      if (error) {
        spdlog::warn("shard {} cannot be restored yet: {}", shard, error->detail);
        std::this_thread::sleep_for(kPause);
      } else {
        restored = replica_->place(shard).seen;
        followed.push_back(shard);
      }
      continue;
    }
    const auto place = replica_->place(shard);
    const auto next = parts_.jetstream.next(writer_.stream(), writer_.subject(shard), place.seen + 1);
    if (!next && next.error().type == "not-found") return true;
    if (!next) {
      std::this_thread::sleep_for(kPause);
      continue;
    }
    if (next->sequence > upto) return true;
    auto entry = parse_entry(next->payload);
    if (!entry) {
      replica_->distrust(shard, "message " + std::to_string(next->sequence) + " cannot be read");
      return true;
    }
    const LogMessage message{shard, next->sequence, std::move(*entry), next->payload.size()};
    auto taken = replica_->take(std::span(&message, 1), std::nullopt);
    followed.insert(followed.end(), taken.followed.begin(), taken.followed.end());
    if (taken.error || replica_->damage(shard)) return !taken.error;
    gap = !taken.gaps.empty();
  }
  return false;
}

}  // namespace cx
