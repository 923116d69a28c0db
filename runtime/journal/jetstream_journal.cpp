#include "runtime/journal/jetstream_journal.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <spdlog/spdlog.h>
#include <utility>

#include "runtime/journal/jetstream_hold.hpp"

namespace cx {
namespace {

Error fenced(std::uint32_t shard, const std::string& why) {
  return {Code::unavailable, "fenced",
          "Shard " + std::to_string(shard) + " " + why + ". Open it again before writing.", ""};
}

/// Of a call that NATS has not answered.
Error unknown(std::uint32_t shard, const std::optional<Error>& why) {
  return {Code::unavailable, "storage-failed",
          "Whether shard " + std::to_string(shard) +
              " was written is not known: " + (why ? why->detail : "NATS did not answer in time") +
              ". Open the shard again once NATS is reached.",
          ""};
}

void add_writes(google::protobuf::RepeatedPtrField<v1::RowWrite>& to, std::span<const Write> writes) {
  for (const auto& write : writes) {
    auto& row = *to.Add();
    row.set_table(static_cast<std::uint32_t>(write.table));
    row.set_key(write.key);
    if (write.value) row.set_value(*write.value);
  }
}

}  // namespace

JetStreamJournal::JetStreamJournal(Parts parts)
    : parts_(std::move(parts)),
      writer_(parts_.jetstream, parts_.environment, parts_.cluster, !parts_.sabotage.no_fence),
      checkpoints_(parts_.jetstream, parts_.environment, parts_.cluster) {}

Result<std::unique_ptr<JetStreamJournal>> JetStreamJournal::open(Parts parts) {
  std::unique_ptr<JetStreamJournal> journal(new JetStreamJournal(std::move(parts)));
  if (auto error = journal->start()) return std::move(*error);
  return journal;
}

JetStreamJournal::~JetStreamJournal() {
  stopping_.store(true);
  writer_.stop();
  end_following();
}

std::vector<Result<Head>> JetStreamJournal::open(std::span<const std::uint32_t> shards,
                                                 std::optional<std::uint64_t> epoch) {
  if (replica_->failed())
    if (auto error = reload()) return std::vector<Result<Head>>(shards.size(), *error);
  const Hold hold(*this, {shards.begin(), shards.end()});
  std::vector<Result<Head>> results(shards.size(), Error{});
  std::vector<std::size_t> todo(shards.size());
  for (std::size_t i = 0; i < todo.size(); ++i) todo[i] = i;
  const auto until = deadline();
  while (!todo.empty()) {
    std::vector<Attempt> attempts;
    std::vector<std::size_t> of, later;
    std::set<std::uint32_t> once;
    for (const std::size_t i : todo) {
      const std::uint32_t shard = shards[i];
      if (!once.insert(shard).second) {
        later.push_back(i);
        continue;
      }
      if (auto error = replica_->damage(shard)) {
        results[i] = std::move(*error);
        continue;
      }
      const auto place = replica_->place(shard);
      if (epoch && *epoch < place.head.epoch && !parts_.sabotage.no_fence) {
        results[i] = fenced(shard, "was opened in epoch " + std::to_string(place.head.epoch) +
                                       ", after epoch " + std::to_string(*epoch));
        continue;
      }
      auto& attempt = attempts.emplace_back();
      attempt.shard = shard;
      attempt.previous = place.seen;
      attempt.entry.set_epoch(epoch.value_or(place.head.epoch + 1));
      attempt.entry.set_after(place.head.last);
      attempt.entry.set_opened(true);
      of.push_back(i);
    }
    commit(attempts, until);
    for (std::size_t k = 0; k < attempts.size(); ++k) {
      const Attempt& attempt = attempts[k];
      const std::size_t i = of[k];
      if (attempt.outcome == Attempt::Outcome::stored) {
        doubt(attempt.shard, false);
        results[i] = replica_->place(attempt.shard).head;
        continue;
      }
      auto error = attempt.error;
      if (attempt.outcome == Attempt::Outcome::beaten) {
        // Somebody wrote what this node has not seen yet: see it first.
        const auto last = parts_.jetstream.last(writer_.stream(), writer_.subject(attempt.shard));
        if (last && replica_->wait(attempt.shard, last->sequence, until)) {
          later.push_back(i);
          continue;
        }
        if (!last) error = last.error();
        if (auto damage = replica_->damage(attempt.shard)) error = damage;
      }
      results[i] = unknown(attempt.shard, error);
    }
    todo = std::move(later);
  }
  return results;
}

std::vector<std::optional<Error>> JetStreamJournal::append(std::span<const Append> appends, bool) {
  std::vector<std::optional<Error>> results(appends.size());
  std::map<std::uint32_t, std::vector<std::size_t>> by_shard;
  std::set<std::uint32_t> shards;
  for (std::size_t i = 0; i < appends.size(); ++i) {
    by_shard[appends[i].shard].push_back(i);
    shards.insert(appends[i].shard);
  }
  const Hold hold(*this, std::move(shards));
  std::vector<Attempt> attempts;
  attempts.reserve(by_shard.size());
  for (auto& [shard, members] : by_shard) {
    if (const auto error = refusal(shard)) {
      for (const std::size_t i : members) results[i] = error;
      members.clear();
      continue;
    }
    const auto place = replica_->place(shard);
    Attempt attempt;
    attempt.shard = shard;
    attempt.previous = place.seen;
    attempt.entry.set_epoch(place.head.epoch);
    attempt.entry.set_after(place.head.last);
    auto& commit = *attempt.entry.mutable_commit();
    std::vector<std::size_t> within;
    std::uint64_t last = place.head.last;
    for (const std::size_t i : members) {
      const Append& append = appends[i];
      if (!parts_.sabotage.no_fence && append.epoch != place.head.epoch) {
        results[i] = fenced(shard, "is open in epoch " + std::to_string(place.head.epoch) + ", not in " +
                                       std::to_string(append.epoch));
        continue;
      }
      if (!parts_.sabotage.no_fence && append.after != last) {
        results[i] = fenced(
            shard, "stands at record " + std::to_string(last) + ", not at " + std::to_string(append.after));
        continue;
      }
      for (const auto& record : append.records) commit.add_records(record);
      add_writes(*commit.mutable_writes(), append.writes);
      commit.set_followed(commit.followed() || append.followed);
      last += append.records.size();
      within.push_back(i);
    }
    if (parts_.sabotage.no_fence && !within.empty()) {
      attempt.entry.set_epoch(appends[within.front()].epoch);
      attempt.entry.set_after(appends[within.front()].after);
    }
    members = std::move(within);
    if (commit.records_size() > 0 || commit.writes_size() > 0) attempts.push_back(std::move(attempt));
  }
  commit(attempts, deadline());
  for (const auto& attempt : attempts) {
    if (attempt.outcome == Attempt::Outcome::stored) continue;
    auto error = attempt.outcome == Attempt::Outcome::beaten
                     ? fenced(attempt.shard, "was written by somebody else after record " +
                                                 std::to_string(attempt.entry.after()))
                     : unknown(attempt.shard, attempt.error);
    if (attempt.error && attempt.error->type == "too-large")
      error = *attempt.error;
    else if (attempt.outcome == Attempt::Outcome::unknown)
      doubt(attempt.shard, true);
    for (const std::size_t i : by_shard[attempt.shard]) results[i] = error;
  }
  return results;
}

void JetStreamJournal::commit(std::span<Attempt> attempts, Deadline until) {
  if (attempts.empty()) return;
  writer_.store(attempts, until);
  std::vector<LogMessage> messages;
  std::vector<Attempt*> taken;
  for (auto& attempt : attempts) {
    if (attempt.outcome != Attempt::Outcome::stored) continue;
    taken.push_back(&attempt);
    // What came in parts, the follower may have begun to take.
    if (!attempt.in_parts)
      messages.push_back({attempt.shard, attempt.sequence, std::move(attempt.entry), attempt.bytes});
  }
  const auto outcome = replica_->take(messages, std::nullopt);
  for (auto* attempt : taken) {
    auto error = outcome.error;
    if (!error && attempt->in_parts && !replica_->wait(attempt->shard, attempt->sequence, until))
      error = Error{Code::unavailable, "unavailable", "The node's copy is behind the stream", ""};
    if (!error) error = replica_->damage(attempt->shard);
    if (!error) continue;
    attempt->outcome = Attempt::Outcome::unknown;
    attempt->error = std::move(error);
  }
}

std::optional<Error> JetStreamJournal::refusal(std::uint32_t shard) const {
  if (auto error = replica_->damage(shard)) return error;
  const std::lock_guard lock(mutex_);
  if (doubt_.at(shard)) return unknown(shard, std::nullopt);
  return std::nullopt;
}

void JetStreamJournal::doubt(std::uint32_t shard, bool in_doubt) {
  const std::lock_guard lock(mutex_);
  doubt_.at(shard) = in_doubt;
}

std::optional<Error> JetStreamJournal::checked(std::uint32_t shard, std::optional<Error> error) const {
  if (error && error->type == "corrupt") replica_->distrust(shard, error->detail);
  return error;
}

Result<Head> JetStreamJournal::head(std::uint32_t shard) const {
  if (auto error = replica_->damage(shard)) return std::move(*error);
  return replica_->place(shard).head;
}

std::optional<Error> JetStreamJournal::read(std::uint32_t shard, std::uint64_t after,
                                            const VisitRecord& visit) const {
  if (auto error = replica_->damage(shard)) return error;
  return checked(shard, replica_->rocks().read(shard, after, visit));
}

std::vector<Result<std::optional<std::string>>> JetStreamJournal::get(Table table,
                                                                      std::span<const RowKey> keys) const {
  auto results = replica_->rocks().get(table, keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!results[i]) (void)checked(keys[i].shard, results[i].error());
    if (auto error = replica_->damage(keys[i].shard)) results[i] = std::move(*error);
  }
  return results;
}

std::optional<Error> JetStreamJournal::scan(Table table, std::uint32_t shard, std::string_view from,
                                            const VisitRow& visit) const {
  if (auto error = replica_->damage(shard)) return error;
  return checked(shard, replica_->rocks().scan(table, shard, from, visit));
}

std::optional<Error> JetStreamJournal::truncate(std::uint32_t shard, std::uint64_t upto,
                                                std::span<const Write> bases) {
  {
    const Hold hold(*this, {shard});
    if (auto error = refusal(shard)) return error;
    const auto place = replica_->place(shard);
    Attempt attempt;
    attempt.shard = shard;
    attempt.previous = place.seen;
    attempt.entry.set_epoch(place.head.epoch);
    attempt.entry.set_after(place.head.last);
    attempt.entry.mutable_truncation()->set_upto(std::min(upto, place.head.last));
    add_writes(*attempt.entry.mutable_truncation()->mutable_bases(), bases);
    commit(std::span(&attempt, 1), deadline());
    if (attempt.outcome == Attempt::Outcome::beaten)
      return fenced(shard, "was written by somebody else after record " + std::to_string(place.head.last));
    if (attempt.outcome == Attempt::Outcome::unknown) {
      doubt(shard, true);
      return unknown(shard, attempt.error);
    }
  }
  // What is forgotten is forgotten; if the stream cannot be made shorter now, the next call does it.
  if (const auto error = checkpoint(shard))
    spdlog::warn("shard {} got no checkpoint: {}", shard, error->detail);
  return std::nullopt;
}

std::optional<Error> JetStreamJournal::checkpoint(std::uint32_t shard, bool anyway) {
  const std::lock_guard lock(checkpointing_);
  const auto place = replica_->place(shard);
  if (place.applied == 0) return std::nullopt;
  if (!anyway && place.since < std::max(parts_.checkpoint_bytes, place.base)) return std::nullopt;
  if (auto error = replica_->damage(shard)) return error;
  const auto made = checkpoints_.make(*replica_, shard);
  if (!made) return checked(shard, made.error());
  replica_->checkpointed(shard, place.since, made->bytes);
  // Never the newest message that is in it, so that the subject keeps its last one, which is the fence.
  return parts_.jetstream.purge(writer_.stream(), writer_.subject(shard), made->checkpoint.upto());
}

void JetStreamJournal::on_applied(std::function<void(std::uint32_t)> applied) {
  const std::lock_guard lock(applied_mutex_);
  applied_ = std::move(applied);
}

}  // namespace cx
