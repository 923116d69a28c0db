#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "runtime/entity/host_state.hpp"
#include "runtime/entity/route.hpp"

// Shards are opened, and in a cluster come and go. Whoever has a shard may learn late that it is somebody
// else's: what keeps the two apart is the epoch in the journal, never what is in memory here.

namespace cx {
namespace {

constexpr std::size_t kOpenAtOnce = 32;  // shards, and then the next so many: the first serve meanwhile

// Of a shard that goes, at most: whoever gets it reads what has no snapshot from the log.
constexpr std::size_t kLastSnapshots = 128;
constexpr std::size_t kLastBytes = 128 << 10;

Error closed(const Shard& shard) {
  return {Code::unavailable, "unavailable",
          fmt::format("Shard {} is not served at the moment ({}); nothing was done, retry in a second.",
                      shard.id, shard.error.empty() ? "it is being opened" : shard.error),
          ""};
}

Error gone(const char* why) {
  return {Code::unavailable, "unavailable", why, ""};
}

}  // namespace

Error not_here(std::uint32_t shard) {
  return {
      Code::unavailable, "not-here",
      fmt::format("Shard {} is not on this node at the moment; nothing was done, ask the node that has it.",
                  shard),
      ""};
}

void Host::State::open(std::vector<Shard*> which, std::function<void(std::optional<Error>)> done) {
  struct Under {
    Shard* shard;
    std::uint64_t generation;
  };
  std::vector<ToOpen> to_open;
  std::vector<Under> all;
  for (auto* shard : which) {
    to_open.push_back({shard->id, shard->wanted});
    all.push_back({shard, shard->generation});
  }
  opening = true;
  port.offload(
      [this, to_open = std::move(to_open), all = std::move(all), done = std::move(done)]() -> HostPort::Then {
        auto found = std::make_shared<std::vector<Opened>>(open_shards(journal, to_open));
        return [this, all, found, done] {
          opening = false;
          std::optional<Error> first;
          for (std::size_t i = 0; i < all.size(); ++i) {
            auto& [shard, generation] = all[i];
            if (shard->generation != generation) continue;  // it is not wanted any more, or in another epoch
            if ((*found)[i].error && !first) first = (*found)[i].error;
            opened(*shard, std::move((*found)[i]));
          }
          if (done) done(first);
          open_some();
          settle();
        };
      });
}

/// Those that may be opened now. An append of before must have reached the journal or failed: one epoch has
/// one log in memory.
void Host::State::open_some() {
  if (to_open.empty() || opening || stopped) return;
  std::vector<Shard*> some;
  const auto at = now();
  for (auto next = to_open.begin(); next != to_open.end();) {
    Shard& shard = shards.at(*next);
    if (shard.reopen_at > at || shard.after_batch > committed_batch) {
      ++next;
      continue;
    }
    next = to_open.erase(next);
    some.push_back(&shard);
    if (some.size() == kOpenAtOnce) break;
  }
  if (!some.empty()) open(std::move(some), nullptr);
}

void Host::State::opened(Shard& shard, Opened found) {
  if (found.error) {
    shard.error = found.error->detail;
    shard.reopen_at = now() + kReopenEvery;
    if (found.error->type != "fenced") {
      to_open.insert(shard.id);
    } else if (options.clustered) {
      lose(shard, *shard.wanted, *found.error);
    } else {
      shard.phase = Shard::Phase::lost;
    }
    return;
  }
  shard.phase = Shard::Phase::open;
  shard.error.clear();
  shard.epoch = found.head.epoch;
  shard.first = found.head.first;
  shard.last = shard.committed = found.head.last;
  shard.checkpoint = found.checkpoint;
  shard.tail = std::move(found.tail);
  for (auto& [id, entry] : found.outbox) {
    const auto to = route_letter(kinds, entry.message().to());
    shard.window(put(shard, id, std::move(entry), to).to).unsent.insert(id);
  }
  send_letters(shard);
  note_due(shard, found.next_due);
  if (options.clustered) port.here(shard.id, true);
}

/// A command for a shard that is not open. In a cluster whoever asked waits elsewhere, for nothing was done;
/// but not the shard's own reminders and messages, which it has written down.
void Host::State::turn_away(Job& job, const Shard& shard) {
  const bool own = job.letter.sequence != 0 || !job.reminder.empty();
  if (!options.clustered || own) return job.respond(closed(shard));
  if (job.inspect || job.request.here_only) return job.respond(not_here(shard.id));
  port.elsewhere(std::move(job.request), std::move(job.respond));
}

void Host::State::take(std::span<const ShardEpoch> which) {
  for (const auto& [id, epoch] : which) {
    Shard* shard = this->shard(id);
    if (shard == nullptr || (shard->wanted && *shard->wanted >= epoch)) continue;
    if (shard->phase == Shard::Phase::moving) {
      shard->wanted = epoch;  // and is read again once it has gone
      continue;
    }
    if (shard->phase == Shard::Phase::open) let_go(*shard, gone("the shard was given to this node anew"));
    want(*shard, epoch);
  }
  open_some();
}

void Host::State::want(Shard& shard, std::uint64_t epoch) {
  ++shard.generation;
  shard.wanted = epoch;
  shard.phase = Shard::Phase::opening;
  shard.error.clear();
  shard.reopen_at = 0;
  to_open.insert(shard.id);
}

void Host::State::release(std::span<const std::uint32_t> which,
                          const std::function<void(std::uint32_t)>& released) {
  for (const auto id : which) {
    Shard* shard = this->shard(id);
    if (shard != nullptr && shard->phase == Shard::Phase::moving) {
      shard->wanted.reset();
      shard->released.push_back(released);
    } else if (shard != nullptr && shard->phase == Shard::Phase::open) {
      shard->released.push_back(released);
      move(*shard);
    } else {
      if (shard != nullptr) let_go(*shard, gone("the shard was given to another node"));
      released(id);
    }
  }
}

/// Takes in nothing more, and goes as soon as all that it has done is committed.
void Host::State::move(Shard& shard) {
  shard.wanted.reset();
  shard.phase = Shard::Phase::moving;
  port.here(shard.id, false);
  due.erase({shard.next_due, shard.id});
  for (auto& next : handovers) {
    if (next.shard != &shard || next.generation != shard.generation || !next.fresh) continue;
    --shard.fresh;
    keep(next);
  }
  Orphans orphans;
  for (Slot* next = shard.slots; next != nullptr;) {
    Slot& slot = *std::exchange(next, next->after);
    if (slot.entity) continue;
    for (auto& job : slot.waiting) orphans.waiting.push_back(std::move(job));
    drop(slot);
  }
  answer_all(std::move(orphans), shard, gone("the shard is being given to another node"));

  const auto before = filling.bytes;
  for (std::size_t n = 0; n < kLastSnapshots && !shard.dirty.empty(); ++n) {
    if (filling.bytes - before >= kLastBytes) break;
    snapshot(*shard.dirty.begin()->second);
  }
  note_checkpoint(shard);
  answer_when(
      shard.append >= 0 ? filling.number
      : under_way       ? under_way->number
                        : 0,
      shard,
      [this, &shard, generation = shard.generation](const Answer&) {
        if (shard.generation == generation) let_go(shard, gone("the shard was given to another node"));
      },
      MessagePtr());
}

/// From now on it is elsewhere.
void Host::State::let_go(Shard& shard, const Error& why) {
  const bool was_open = shard.phase == Shard::Phase::open;
  const bool was_moving = shard.phase == Shard::Phase::moving;
  const auto again = was_moving ? shard.wanted.value_or(0) : 0;  // epochs start at 1
  auto orphans = clear(shard);
  shard.phase = Shard::Phase::elsewhere;
  shard.error.clear();
  shard.wanted.reset();
  shard.epoch = 0;
  shard.first = 1;
  shard.last = shard.committed = shard.checkpoint = 0;
  shard.broke.clear();
  shard.fragile.clear();
  shard.failed.clear();
  to_open.erase(shard.id);
  if (was_open) port.here(shard.id, false);
  answer_all(std::move(orphans), shard, why);
  for (const auto& released : std::exchange(shard.released, {})) released(shard.id);
  if (again != 0 && shard.phase == Shard::Phase::elsewhere) want(shard, again);
}

/// It was here in `epoch`, or was to be, and has been opened in a newer one.
void Host::State::lose(Shard& shard, std::uint64_t epoch, const Error& why) {
  let_go(shard, why);
  shard.error = why.detail;
  port.offload([this, id = shard.id, epoch]() -> HostPort::Then {
    const auto head = journal.head(id);
    const ShardEpoch newer{id, std::max(head ? head->epoch : 0, epoch + 1)};
    return [this, newer] { port.lost(newer); };
  });
}

void Host::State::drop(std::span<const std::uint32_t> which) {
  for (const auto id : which) {
    Shard* shard = this->shard(id);
    if (shard == nullptr) continue;
    if (shard->phase == Shard::Phase::moving) shard->wanted.reset();
    let_go(*shard, gone("this node had to give the shard up"));
  }
}

}  // namespace cx
