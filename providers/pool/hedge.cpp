#include <algorithm>
#include <utility>

#include "providers/pool/core.hpp"

// What the core makes of the time that batches take: how large the next ones may be, and which are given to a
// second worker.

namespace cx::pool {

/// Notes how long a flight took that has just been reported.
void Core::measure(const Flight& flight, SteadyTime now) {
  // One that works on one batch at a time has begun this one when it was through with the one before.
  const auto began = policy_.worker_batches == 1
                         ? std::max(flight.started, workers_[flight.worker].free_since)
                         : flight.started;
  const auto took = now - began;
  busy_ += took;
  times_.record(took);
  if (policy_.batch_time <= Duration::zero()) return;
  // A stall says nothing of the size.
  costs_.record(flight.weight, times_.p95() > Duration::zero() ? std::min(took, times_.p95()) : took);
  limit_ = costs_.fits(policy_.batch_time, policy_.batch_items);
}

/// Whether a flight that takes long would be given to another worker as well.
bool Core::can_hedge() const {
  if (late_timers_.empty() || draining_ || hedge_credit_ < policy_.hedge_every) return false;
  const auto& worker = workers_[freest()];
  return !worker.cold && worker.load == 0;
}

/// Fills in a batch of what is with a worker that takes long; false when there is none.
bool Core::hedge(SteadyTime now, Batch& batch) {
  while (!late_timers_.empty() && late_timers_.first().rank <= now.time_since_epoch().count()) {
    const auto late = late_timers_.first().node;
    late_timers_.remove(flights_, late);
    auto& first = flights_[late];
    const auto& key = keys_[first.key];
    const bool room = key.most_batches == 0 || key.batches < key.most_batches;
    const bool wanted = std::any_of(first.items.begin(), first.items.end(),
                                    [&](std::uint32_t item) { return items_[item].expires > now; });
    if (!room || !wanted || key.breaker != Breaker::closed) continue;

    const auto at = take_off(freest(), first.key, now, batch);
    auto& second = flights_[at];
    second.hedge = batch.hedge = true;
    second.weight = batch.weight = first.weight;
    second.twin = late;
    first.twin = at;
    second.items.assign(first.items.begin(), first.items.end());
    for (const auto item : second.items) {
      batch.members.push_back({ticket(item), items_[item].attempts, items_[item].expires});
      batch.oldest = std::min(batch.oldest, items_[item].since);
    }
    hedge_credit_ -= policy_.hedge_every;
    ++hedges_;
    refresh(first.key, now);
    return true;
  }
  return false;
}

/// Leaves the items of a flight to it alone: its twin, if any, goes on for nothing.
void Core::part(std::uint32_t flight) {
  const auto twin = std::exchange(flights_[flight].twin, kNone);
  if (twin == kNone) return;
  auto& other = flights_[twin];
  other.twin = kNone;
  other.items.clear();
  --keys_[other.key].batches;
  late_timers_.remove(flights_, twin);
}

}  // namespace cx::pool
