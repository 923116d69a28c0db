#include "providers/pool/core.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cx::pool {
namespace {

constexpr std::size_t kWorthKeeping = 1'024;  // entries of a line, when its key is forgotten

std::int64_t rank(SteadyTime time) {
  return time.time_since_epoch().count();
}

constexpr double kLongest = 1e17;  // nanoseconds

/// What an item of a weight costs a key of a rate, as time, and how much of that a complete rest allows at
/// once. No debt is longer than three
/// years, whatever the numbers.
struct Cost {
  Duration one, burst;
};
Cost cost_of(std::uint32_t weight, const Rate& rate) {
  if (!(rate.per_second > 0)) return {};
  const double each = std::ceil(std::clamp(1e9 / rate.per_second, 1.0, kLongest));
  const auto time = [each](double n) {
    return Duration(static_cast<std::int64_t>(std::min(each * n, kLongest)));
  };
  return {time(weight), time(rate.burst > 1 ? rate.burst : 1)};
}

SteadyTime later(SteadyTime now, Duration by) {
  return by >= SteadyTime::max() - now ? SteadyTime::max() : now + by;
}

constexpr std::uint64_t kSavedHedges = 10;  // that can be made one after the other
/// An answer that is late by less is not worth a second one, nor the timer.
constexpr Duration kSoonestHedge = std::chrono::milliseconds(1);

/// Whether a report says what became of each of so many.
bool is_answer(std::span<const Report> reports, std::size_t size) {
  return reports.size() >= size && std::all_of(reports.begin(), reports.end(), [](const Report& report) {
           return report.verdict == Verdict::done || report.verdict == Verdict::failed;
         });
}

/// Index of an unused slot.
template <class Slots>
std::uint32_t take_free(Slots& slots, std::vector<std::uint32_t>& free) {
  if (free.empty()) {
    slots.emplace_back();
    return static_cast<std::uint32_t>(slots.size() - 1);
  }
  const auto at = free.back();
  free.pop_back();
  return at;
}

}  // namespace

Core::Core(const Policy& policy, Random random)
    : policy_(policy),
      random_(random),
      workers_(std::max<std::size_t>(1, policy.workers)),
      limit_(policy.batch_items) {}

Core::Offered Core::offer(const Arrival& arrival, SteadyTime now) {
  if (draining_) return {Admission::draining, 0};
  if (!arrival.id.empty())
    if (const auto found = ids_.find(arrival.id); found != ids_.end())
      return {Admission::duplicate, ticket(found->second)};
  const auto weight = std::max(1U, arrival.weight);
  if (weight_ + weight > policy_.max_queue) return {Admission::full, 0};
  const auto key = key_of(arrival.key);
  if (policy_.max_key_queue > 0 && keys_[key].weight + weight > policy_.max_key_queue) {
    refresh(key, now);  // it may be new
    return {Admission::full, 0};
  }
  set_rate(keys_[key], arrival.rate.value_or(policy_.rate), now);
  keys_[key].most_batches = arrival.key_batches > 0 ? arrival.key_batches : policy_.max_key_batches;

  const auto at = take_free(items_, free_items_);
  auto& item = items_[at];
  item.id = arrival.id;
  if (!item.id.empty()) ids_.emplace(item.id, at);
  item.key = key;
  item.weight = weight;
  item.attempts = item.unknown = 0;
  item.most_attempts = arrival.attempts > 0 ? arrival.attempts : policy_.attempts;
  item.sequence = ++sequence_;
  item.since = now;
  item.expires = arrival.deadline;
  if (policy_.max_stay > Duration::zero())
    item.expires = std::min(item.expires, later(now, policy_.max_stay));
  ++held_;
  weight_ += weight;
  keys_[key].weight += weight;
  ++keys_[key].items;
  enter_line(at, now);
  const auto result = ticket(at);
  if (item.expires <= now) end(at, Ending::expired);
  refresh(key, now);
  return {Admission::accepted, result};
}

bool Core::dispatch(SteadyTime now, Batch& batch) {
  advance(now);
  const auto worker = freest();
  const bool room = !workers_[worker].cold && workers_[worker].load < policy_.worker_batches;
  const auto key = ring_ == kNone ? kNone : pick(now, room);
  if (key == kNone) return can_hedge() && hedge(now, batch);

  const auto at = take_off(worker, key, now, batch);
  fill(flights_[at], now, batch);
  auto& of = keys_[key];
  if (of.breaker == Breaker::open) set_breaker(of, Breaker::half_open);
  if (of.breaker == Breaker::half_open) of.probe = batch.id;
  if (policy_.hedge_every > 0) {
    // What was saved up in good times is not spent all at once in bad ones.
    hedge_credit_ = std::min(hedge_credit_ + 1, kSavedHedges * policy_.hedge_every);
    if (times_.p95() > Duration::zero())
      late_timers_.set(flights_, at, rank(later(now, std::max(times_.p95(), kSoonestHedge))));
  }
  leave_ring(key);  // to its end, when it may go again
  refresh(key, now);
  return true;
}

/// The worker with the least to do, a warm one if there is one.
std::size_t Core::freest() const {
  const auto less = [](const Slot& a, const Slot& b) { return a.cold != b.cold ? b.cold : a.load < b.load; };
  return static_cast<std::size_t>(std::min_element(workers_.begin(), workers_.end(), less) -
                                  workers_.begin());
}

/// A new flight, and a batch without members that stands for it.
std::uint32_t Core::take_off(std::size_t worker, std::uint32_t key, SteadyTime now, Batch& batch) {
  const auto at = take_free(flights_, free_flights_);
  auto& flight = flights_[at];
  flight.id = (++flights_started_ << 32) | at;
  flight.worker = worker;
  flight.key = key;
  flight.weight = 0;
  flight.twin = kNone;
  flight.hedge = false;
  flight.started = now;
  ++workers_[worker].load;
  ++keys_[key].batches;
  batch.id = flight.id;
  batch.worker = worker;
  batch.weight = 0;
  batch.hedge = false;
  batch.oldest = now;
  batch.members.clear();
  return at;
}

/// Moves the items of a batch out of their line: the next, and those after it that fit and may go, too.
void Core::fill(Flight& flight, SteadyTime now, Batch& batch) {
  auto& key = keys_[flight.key];
  const bool probing = key.breaker != Breaker::closed;
  while (!key.line.empty()) {
    const auto at = key.line.first().node;
    auto& item = items_[at];
    if (!batch.members.empty() && (probing || batch.weight + item.weight > limit_ || may_go(key) > now))
      break;
    leave_line(at);
    key.paid_until = std::max(key.paid_until, now) + cost_of(item.weight, key.rate).one;
    item.state = State::flying;
    item.flight = static_cast<std::uint32_t>(flight.id);
    ++item.attempts;
    ++in_flight_;
    if (policy_.max_attempt > Duration::zero())
      item_timers_.set(items_, at, rank(later(now, policy_.max_attempt)));
    else
      item_timers_.remove(items_, at);
    flight.items.push_back(at);
    batch.members.push_back({ticket(at), item.attempts, item.expires});
    batch.weight += item.weight;
    batch.oldest = std::min(batch.oldest, item.since);
  }
  flight.weight = batch.weight;
}

bool Core::finished(std::uint64_t batch, std::span<const Report> reports, SteadyTime now) {
  const auto at = static_cast<std::uint32_t>(batch);
  if (batch == 0 || at >= flights_.size() || flights_[at].id != batch) return false;
  auto& flight = flights_[at];
  if (!reports.empty()) measure(flight, now);
  // Freed first, and its memory lent out: to report is to answer, and nothing may find it any more.
  flight.id = 0;
  late_timers_.remove(flights_, at);
  --workers_[flight.worker].load;
  workers_[flight.worker].free_since = now;
  free_flights_.push_back(at);
  if (flight.items.empty()) return false;  // its twin has answered
  const auto key = flight.key;
  --keys_[key].batches;
  if (const auto twin = flight.twin; twin != kNone) {
    if (!is_answer(reports, flight.items.size())) {
      for (const auto item : flight.items) items_[item].flight = twin;
      flights_[twin].twin = flight.twin = kNone;
      flight.items.clear();
      refresh(key, now);
      return true;
    }
    hedges_won_ += flight.hedge ? 1 : 0;
    part(at);
  }
  judge(keys_[key], batch, reports, now);
  for (std::size_t i = 0; i < flight.items.size(); ++i) {
    --in_flight_;
    report(flight.items[i], i < reports.size() ? reports[i] : Report{}, now);
  }
  flight.items.clear();
  refresh(key, now);
  return true;
}

std::span<const std::uint32_t> Core::members(std::uint64_t batch) const {
  const auto at = static_cast<std::uint32_t>(batch);
  if (batch == 0 || at >= flights_.size() || flights_[at].id != batch) return {};
  return flights_[at].items;
}

/// What becomes of an item after an attempt.
void Core::report(std::uint32_t at, const Report& report, SteadyTime now) {
  auto& item = items_[at];
  item.flight = kNone;
  if (report.verdict == Verdict::unknown) ++item.unknown;
  const auto lost = [&item](Ending otherwise) { return item.unknown > 0 ? Ending::unknown : otherwise; };
  if (report.verdict == Verdict::done) return end(at, Ending::done);
  if (report.verdict == Verdict::failed) return end(at, lost(Ending::failed));
  if (report.verdict == Verdict::unknown && !policy_.retry_unknown) return end(at, Ending::unknown);
  if (item.attempts >= item.most_attempts) return end(at, lost(Ending::failed));
  if (draining_) return end(at, Ending::given_back);
  const double window = std::min(static_cast<double>(policy_.max_backoff.count()),
                                 std::ldexp(static_cast<double>(policy_.backoff.count()),
                                            static_cast<int>(std::min(item.attempts - 1, 62U))));
  const Duration jitter(static_cast<std::int64_t>(random_.uniform() * std::max(0.0, window)));
  const auto next = later(now, jitter + std::clamp(report.after, Duration::zero(), policy_.max_hold));
  if (next >= item.expires) return end(at, lost(Ending::expired));
  item.state = State::pausing;
  item_timers_.set(items_, at, rank(next));
}

/// What a batch's reports say of their receiver. A refusal for good is a sign of life.
void Core::judge(Key& key, std::uint64_t flight, std::span<const Report> reports, SteadyTime now) {
  bool alive = false, held = false;
  for (const auto& report : reports) {
    const bool lives = report.verdict == Verdict::done || report.verdict == Verdict::failed;
    alive = alive || lives;
    if (lives || report.after <= Duration::zero()) continue;
    held = true;
    key.held_until = std::max(key.held_until, later(now, std::min(report.after, policy_.max_hold)));
  }
  const bool probe = key.breaker == Breaker::half_open && key.probe == flight;
  if (probe) key.probe = 0;
  if (policy_.breaker_failures == 0 || (key.breaker != Breaker::closed && !probe)) return;
  if (alive) {
    key.failures = 0;
    set_breaker(key, Breaker::closed);
  } else if (!held && (probe || ++key.failures >= policy_.breaker_failures)) {
    key.open_until = later(now, policy_.breaker_pause);
    ++opened_;
    set_breaker(key, Breaker::open);
  }
}

void Core::lost(std::size_t worker, SteadyTime now) {
  for (std::size_t at = 0; at < flights_.size(); ++at)
    if (flights_[at].id != 0 && flights_[at].worker == worker) finished(flights_[at].id, {}, now);
}

void Core::adjust(std::string_view key, const Rate& rate, std::size_t key_batches, SteadyTime now) {
  const auto found = names_.find(key);
  if (found == names_.end()) return;
  set_rate(keys_[found->second], rate, now);
  keys_[found->second].most_batches = key_batches > 0 ? key_batches : policy_.max_key_batches;
  refresh(found->second, now);
}

void Core::drain(SteadyTime now, bool serve) {
  draining_ = true;
  for (std::uint32_t at = 0; at < items_.size(); ++at) {
    const auto state = items_[at].state;
    if (state != State::pausing && (serve || state != State::waiting)) continue;
    const auto key = items_[at].key;
    end(at, Ending::given_back);
    refresh(key, now);
  }
}

/// Lets happen what was to happen by now.
void Core::advance(SteadyTime now) {
  while (!item_timers_.empty() && item_timers_.first().rank <= rank(now)) {
    const auto at = item_timers_.first().node;
    auto& item = items_[at];
    if (item.state == State::flying) {
      part(item.flight);
      finished(flights_[item.flight].id, {}, now);
      continue;
    }
    if (item.expires <= now) {
      end(at, item.unknown > 0 ? Ending::unknown : Ending::expired);
    } else if (item.state == State::waiting) {
      item.urgent = true;
      ++keys_[item.key].urgent;
      item_timers_.set(items_, at, rank(item.expires));
    } else {
      enter_line(at, now);
    }
    refresh(item.key, now);
  }
  while (!key_timers_.empty() && key_timers_.first().rank <= rank(now)) {
    const auto key = key_timers_.first().node;
    key_timers_.remove(keys_, key);
    refresh(key, now);
  }
}

/// The key whose turn it is to start a batch.
std::uint32_t Core::pick(SteadyTime now, bool room) const {
  if (room) return ring_;
  if (!policy_.batch_wait) return kNone;
  auto key = ring_;
  do {
    const auto& line = keys_[key];
    if (line.line_weight >= limit_ || line.urgent > 0 || waits_until(line) <= now) return key;
    key = line.after;
  } while (key != ring_);
  return kNone;
}

SteadyTime Core::waits_until(const Key& key) const {
  return later(items_[key.line.first().node].since, *policy_.batch_wait);
}

SteadyTime Core::wake() const {
  auto first = std::int64_t{rank(SteadyTime::max())};
  if (!item_timers_.empty()) first = std::min(first, item_timers_.first().rank);
  if (!key_timers_.empty()) first = std::min(first, key_timers_.first().rank);
  if (can_hedge()) first = std::min(first, late_timers_.first().rank);
  if (policy_.batch_wait && ring_ != kNone) {
    auto key = ring_;
    do first = std::min(first, rank(waits_until(keys_[key])));
    while ((key = keys_[key].after) != ring_);
  }
  return SteadyTime(Duration(first));
}

void Core::take_answers(std::vector<Answer>& into) {
  into.clear();
  std::swap(into, answers_);
}

Breaker Core::breaker(std::string_view key) const {
  const auto found = names_.find(key);
  return found == names_.end() ? Breaker::closed : keys_[found->second].breaker;
}

void Core::enter_line(std::uint32_t at, SteadyTime now) {
  auto& item = items_[at];
  auto& key = keys_[item.key];
  item.state = State::waiting;
  key.forget_at = SteadyTime::min();
  key.line.set(items_, at, static_cast<std::int64_t>(item.sequence));
  key.line_weight += item.weight;
  if (item.expires == SteadyTime::max()) return item_timers_.remove(items_, at);
  auto next = item.expires;
  if (policy_.batch_wait && item.expires > now) {
    // An item whose time is too short whatever is done does not break up the batches of the others.
    const auto urgent = item.expires - times_.p95();
    if (urgent > now && urgent < later(item.since, *policy_.batch_wait)) next = urgent;
  }
  item_timers_.set(items_, at, rank(next));
}

void Core::leave_line(std::uint32_t at) {
  auto& key = keys_[items_[at].key];
  key.line.remove(items_, at);
  key.line_weight -= items_[at].weight;
  if (std::exchange(items_[at].urgent, false)) --key.urgent;
}

/// Answers an item that is in no flight. Its key is to be refreshed afterwards.
void Core::end(std::uint32_t at, Ending ending) {
  auto& item = items_[at];
  answers_.push_back({ticket(at), ending, item.attempts, item.unknown});
  if (item.state == State::waiting) leave_line(at);
  item_timers_.remove(items_, at);
  if (!item.id.empty()) ids_.erase(item.id);
  auto& key = keys_[item.key];
  key.weight -= item.weight;
  --key.items;
  weight_ -= item.weight;
  --held_;
  item.state = State::free;
  ++item.generation;
  free_items_.push_back(at);
}

std::uint32_t Core::key_of(std::string_view name) {
  if (const auto found = names_.find(name); found != names_.end()) return found->second;
  const auto at = take_free(keys_, free_keys_);
  keys_[at].name = name;
  names_.emplace(keys_[at].name, at);
  return at;
}

void Core::set_rate(Key& key, const Rate& rate, SteadyTime now) {
  if (rate == key.rate) return;
  key.rate = rate;  // a debt made at a slower one is forgiven
  key.paid_until = std::min(key.paid_until, now + cost_of(1, rate).burst);
}

Ticket Core::ticket(std::uint32_t item) const {
  return (Ticket{items_[item].generation} << 32) | item;
}

/// When the first of a key's line may go, as far as time decides it.
SteadyTime Core::may_go(const Key& key) const {
  const auto cost = cost_of(items_[key.line.first().node].weight, key.rate);
  const auto rested = key.paid_until - std::max(Duration::zero(), cost.burst - cost.one);
  const auto free = std::max(rested, key.held_until);
  return key.breaker == Breaker::open ? std::max(free, key.open_until) : free;
}

/// Puts a key where it belongs after a change: in the ring when it may go, under the clock when it may go
/// later, away when it is not needed.
void Core::refresh(std::uint32_t at, SteadyTime now) {
  auto& key = keys_[at];
  const bool busy = (key.most_batches > 0 && key.batches >= key.most_batches) || key.probe != 0;
  if (key.line.empty() || busy) {
    leave_ring(at);
    key_timers_.remove(keys_, at);
    if (key.items == 0) rest(at, now);
    return;
  }
  const auto when = may_go(key);
  if (when <= now) {
    key_timers_.remove(keys_, at);
    enter_ring(at);
  } else {
    leave_ring(at);
    key_timers_.set(keys_, at, rank(when));
  }
}

/// Forgets a key without items as soon as what is remembered of it has lost its meaning.
void Core::rest(std::uint32_t at, SteadyTime now) {
  auto& key = keys_[at];
  if (key.forget_at == SteadyTime::min()) {
    const bool remembers = key.failures > 0 || key.breaker != Breaker::closed;
    key.forget_at = later(std::max({now, key.paid_until, key.held_until, key.open_until}),
                          remembers ? policy_.breaker_pause : Duration::zero());
  }
  if (key.forget_at > now) return key_timers_.set(keys_, at, rank(key.forget_at));
  names_.erase(key.name);
  set_breaker(key, Breaker::closed);
  Key fresh;  // with the memory of the old one
  fresh.name = std::move(key.name);
  fresh.line = std::move(key.line);
  fresh.line.release_memory(kWorthKeeping);
  key = std::move(fresh);
  free_keys_.push_back(at);
}

void Core::set_breaker(Key& key, Breaker state) {
  broken_ += static_cast<std::size_t>(state != Breaker::closed);
  broken_ -= static_cast<std::size_t>(key.breaker != Breaker::closed);
  key.breaker = state;
}

void Core::enter_ring(std::uint32_t at) {
  auto& key = keys_[at];
  if (key.in_ring) return;
  key.in_ring = true;
  if (ring_ == kNone) {
    ring_ = key.before = key.after = at;
    return;
  }
  key.after = ring_;
  key.before = keys_[ring_].before;
  keys_[key.before].after = at;
  keys_[key.after].before = at;
}

void Core::leave_ring(std::uint32_t at) {
  auto& key = keys_[at];
  if (!key.in_ring) return;
  key.in_ring = false;
  keys_[key.before].after = key.after;
  keys_[key.after].before = key.before;
  if (ring_ == at) ring_ = key.after == at ? kNone : key.after;
}

}  // namespace cx::pool
