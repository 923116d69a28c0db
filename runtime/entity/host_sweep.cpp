#include <algorithm>
#include <string>

#include "runtime/entity/host_state.hpp"

// Housekeeping: snapshots, checkpoints and passivation.

namespace cx {
namespace {

constexpr std::int64_t kSweepEvery = 500;      // milliseconds
constexpr std::size_t kSnapshotsASweep = 512;  // of one shard; bounds how long a sweep keeps commands waiting
constexpr std::size_t kRecoveriesASweep = 64;  // of one shard
constexpr std::size_t kPassivationsASweep = 20'000;

}  // namespace

void Host::State::sweep(std::int64_t now) {
  if (now - swept_at < kSweepEvery && now >= swept_at && !stopped) return;
  swept_at = now;
  for (auto& [id, shard] : shards)
    if (shard.phase == Shard::Phase::open) tidy(shard, now);
  passivate(now, kPassivationsASweep);
}

void Host::State::tidy(Shard& shard, std::int64_t now) {
  for (std::size_t n = 0; (n < kSnapshotsASweep || stopped) && !shard.dirty.empty(); ++n) {
    Slot& oldest = *shard.dirty.begin()->second;
    if (now - oldest.dirty_since < options.snapshot_ms && !stopped) break;
    snapshot(oldest);
  }
  // What has not been asked for since the shard was opened would keep its log from being cut.
  std::vector<std::string> recover;
  for (const auto& [address, sequences] : shard.tail) {
    if (recover.size() == kRecoveriesASweep || stopped || full()) break;
    if (!slots.contains(address)) recover.push_back(address);
  }
  for (const auto& address : recover) {
    const auto* kind = kinds.find(std::string_view(address).substr(0, address.find('/')));
    if (const auto hosting = hosted.find(kind); hosting != hosted.end())
      wake(address, shard, hosting->second);
  }
  note_checkpoint(shard);
}

/// Writes down how far the snapshots go, if that is further than before.
void Host::State::note_checkpoint(Shard& shard) {
  const auto checkpoint = !shard.tail.empty()   ? shard.checkpoint
                          : shard.dirty.empty() ? shard.last
                                                : shard.dirty.begin()->first - 1;
  if (checkpoint <= shard.checkpoint) return;
  shard.checkpoint = checkpoint;
  write(shard, Table::meta, "checkpoint", std::to_string(checkpoint));
}

void Host::State::snapshot(Slot& slot) {
  Shard& shard = *slot.shard;
  const auto [first, last] = shard.dirty.equal_range(slot.first_dirty);
  shard.dirty.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == &slot; }));
  slot.first_dirty = 0;
  slot.saved_batch = filling.number;
  write(shard, Table::snapshots, *slot.address, snapshot_of(slot).SerializeAsString());
  bytes -= slot.bytes;
  slot.bytes = static_cast<std::uint32_t>(sizeof(Slot) + slot.address->capacity() + slot.entity->bytes());
  bytes += slot.bytes;
}

/// Puts up to `most` of the longest unused to sleep: the idle, or whoever is in the way. Who has changed
/// leaves once its snapshot is committed.
void Host::State::passivate(std::int64_t now, std::size_t most) {
  for (auto at = by_use.begin(); at != by_use.end() && most > 0; --most) {
    Slot& slot = **at++;
    if (now - slot.used < options.idle_ms && !full()) return;
    if (!slot.entity || slot.leaving || !slot.waiting.empty()) continue;
    if (slot.first_dirty != 0) snapshot(slot);
    const auto batch = std::max(slot.batch, slot.saved_batch);
    if (batch <= committed_batch) {
      drop(slot);
      continue;
    }
    // Others are next, and if there is no room, it is wanted soon.
    by_use.splice(by_use.end(), by_use, slot.order);
    filling.urgent = filling.urgent || full();
    slot.leaving = true;
    leaving.push_back({*slot.address, slot.load, batch, slot.used, slot.bytes});
    leaving_bytes += slot.bytes;
  }
}

void Host::State::leave() {
  while (!leaving.empty() && leaving.front().batch <= committed_batch) {
    const auto one = std::move(leaving.front());
    leaving.pop_front();
    leaving_bytes -= one.bytes;
    const auto found = slots.find(one.address);
    if (found == slots.end() || found->second.load != one.load) continue;
    Slot& slot = found->second;
    slot.leaving = false;
    const bool committed = std::max(slot.batch, slot.saved_batch) <= committed_batch;
    const bool wanted = slot.used != one.used || (now() - slot.used < options.idle_ms && !full());
    if (!wanted && slot.first_dirty == 0 && committed) drop(slot);
  }
}

/// Forgets the entity; whoever waits for it has been answered.
void Host::State::drop(Slot& slot) {
  if (slot.first_dirty != 0) {
    auto& dirty = slot.shard->dirty;
    const auto [first, last] = dirty.equal_range(slot.first_dirty);
    dirty.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == &slot; }));
  }
  bytes -= slot.bytes;
  --slot.shard->resident;
  slot.kind->probe->live.add(-1);
  by_use.erase(slot.order);
  (slot.before != nullptr ? slot.before->after : slot.shard->slots) = slot.after;
  if (slot.after != nullptr) slot.after->before = slot.before;
  slots.erase(slots.find(*slot.address));
}

}  // namespace cx
