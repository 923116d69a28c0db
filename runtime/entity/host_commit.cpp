#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "runtime/entity/host_state.hpp"
#include "runtime/entity/route.hpp"

// Batches: what is committed together, what waits for it, and what happens when it fails.

namespace cx {
namespace {

constexpr std::size_t kBatchBytes = 1 << 20;  // a batch this large waits for nobody

Error not_written(const Shard& shard, const Error& why) {
  return {Code::unavailable, "unavailable",
          fmt::format(
              "Shard {} could not write what this answer rests on ({}). Whether the command took effect is "
              "unknown; retry it with the same id.",
              shard.id, why.detail),
          ""};
}

}  // namespace

Append& Host::State::append_to(Shard& shard) {
  if (shard.append < 0) {
    shard.append = static_cast<std::ptrdiff_t>(filling.appends.size());
    filling.appends.push_back({shard.id, shard.epoch, shard.last, {}, {}});
    filling.shards.push_back(&shard);
  }
  return filling.appends[static_cast<std::size_t>(shard.append)];
}

/// The next record of a shard that is nobody's decision; append_to() comes before it.
v1::JournalRecord Host::State::next_record(Shard& shard, const std::string& entity) {
  v1::JournalRecord record;
  record.set_shard(shard.id);
  record.set_sequence(++shard.last);
  record.set_epoch(shard.epoch);
  record.set_entity(entity);
  record.set_now(now());
  return record;
}

void Host::State::write(Shard& shard, Table table, std::string key, std::optional<std::string> value) {
  filling.bytes += key.size() + (value ? value->size() : 0);
  append_to(shard).writes.push_back({table, std::move(key), std::move(value)});
}

void Host::State::settle() {
  hand_over();
  load_some();
  if (under_way) return;
  if (filling.appends.empty() && filling.held.empty()) {
    if (stopped && loads_under_way == 0) std::exchange(stopped, [] {})();
    return;
  }
  if (filling.urgent || filling.bytes >= kBatchBytes || stopped) return commit();
  if (!filling.timed) port.flush_later();
  filling.timed = true;
}

void Host::State::commit() {
  write_posted();
  under_way = std::exchange(filling, Batch{});
  filling.number = under_way->number + 1;
  std::vector<Append> appends;
  std::vector<Shard*> of;
  for (std::size_t i = 0; i < under_way->appends.size(); ++i) {
    Shard* shard = under_way->shards[i];
    if (shard == nullptr) continue;
    shard->append = -1;
    of.push_back(shard);
    appends.push_back(std::move(under_way->appends[i]));
  }
  std::vector<std::uint64_t> upto;
  for (const auto& append : appends) upto.push_back(append.after + append.records.size());
  under_way->shards = of;
  const auto then = [this, upto = std::move(upto)](const std::vector<std::optional<Error>>& results) {
    for (std::size_t i = 0; i < upto.size(); ++i)
      if (Shard* shard = under_way->shards[i]; shard != nullptr && !results[i]) shard->committed = upto[i];
    auto batch = *std::exchange(under_way, std::nullopt);
    committed_batch = batch.number;
    committed(batch, results);
    settle();
  };
  if (appends.empty()) return then({});
  port.commit(std::move(appends), then);
}

void Host::State::committed(Batch& batch, const std::vector<std::optional<Error>>& results) {
  std::map<std::uint32_t, Error> failed;  // in the same order in every run
  for (std::size_t i = 0; i < results.size(); ++i)
    if (results[i] && batch.shards[i] != nullptr) failed.emplace(batch.shards[i]->id, *results[i]);
  // Before anything is answered: nobody may see memory that is not on disk.
  for (const auto& [id, error] : failed) fail(*shard(id), error);
  for (auto& held : batch.held) {
    const auto lost = failed.find(held.shard->id);
    held.respond(lost == failed.end() ? std::move(held.answer) : not_written(*held.shard, lost->second));
  }
  leave();
  for (auto& next : batch.handovers) handovers.push_back(std::move(next));
  for (const auto& shard : batch.senders)
    if (!failed.contains(shard->id)) send_letters(*shard);
  open_some();
}

/// Forgets the memory of a shard. It is read again from the log, unless it is somebody else's now.
void Host::State::fail(Shard& shard, const Error& error) {
  const bool fenced = error.type == "fenced";
  if (options.clustered && shard.phase == Shard::Phase::moving) return let_go(shard, error);
  if (options.clustered && fenced) return lose(shard, shard.epoch, error);
  auto orphans = clear(shard);
  shard.error = error.detail;
  shard.phase = fenced ? Shard::Phase::lost : Shard::Phase::recovering;
  shard.reopen_at = now() + kRecoverAfter;
  if (!fenced) to_open.insert(shard.id);
  if (options.clustered) port.here(shard.id, false);
  answer_all(std::move(orphans), shard, error);
}

Orphans Host::State::clear(Shard& shard) {
  Orphans orphans;
  ++shard.generation;
  while (shard.slots != nullptr) {
    for (auto& job : shard.slots->waiting) orphans.waiting.push_back(std::move(job));
    drop(*shard.slots);
  }
  shard.dirty.clear();
  shard.tail.clear();
  shard.outbox.clear();
  shard.to_others.clear();
  shard.entities = shard.endpoints = {};
  shard.fresh = 0;
  shard.resolving.clear();
  due.erase({shard.next_due, shard.id});
  shard.next_due = Shard::kNever;
  shard.firing = false;
  if (shard.append >= 0) {
    auto& append = filling.appends[static_cast<std::size_t>(shard.append)];
    append = {};
    filling.shards[static_cast<std::size_t>(shard.append)] = nullptr;
    shard.append = -1;
  }
  shard.last = shard.committed;
  if (under_way) {
    std::replace(under_way->shards.begin(), under_way->shards.end(), &shard, static_cast<Shard*>(nullptr));
    shard.after_batch = under_way->number;
  }
  for (auto* batch : {&filling, under_way ? &*under_way : nullptr}) {
    if (batch == nullptr) continue;
    std::erase(batch->senders, &shard);
    auto& all = batch->held;
    const auto others =
        std::stable_partition(all.begin(), all.end(), [&](const auto& h) { return h.shard != &shard; });
    orphans.held.insert(orphans.held.end(), std::make_move_iterator(others),
                        std::make_move_iterator(all.end()));
    all.erase(others, all.end());
  }
  return orphans;
}

void Host::State::answer_all(Orphans orphans, const Shard& shard, const Error& error) {
  const auto why = not_written(shard, error);
  for (auto& one : orphans.held) one.respond(why);
  for (auto& job : orphans.waiting) {
    hosted.at(job.request.kind).probe->handled.total.add();
    if (options.clustered)
      turn_away(job, shard);
    else
      job.respond(why);
  }
}

}  // namespace cx
