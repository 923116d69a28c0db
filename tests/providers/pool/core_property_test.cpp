#include <algorithm>
#include <doctest/doctest.h>
#include <map>
#include <optional>
#include <rapidcheck.h>
#include <set>

#include "providers/pool/core.hpp"

// A pool under random load with random policies, watched by a slow and simple observer that knows the rules,
// not how the core keeps them.

namespace cx::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kMs{1};

Policy any_policy() {
  const auto coin = [] { return *rc::gen::arbitrary<bool>(); };
  const auto below = [](std::size_t n) { return *rc::gen::inRange<std::size_t>(0, n); };
  Policy policy;
  policy.workers = 1 + below(3);
  policy.worker_batches = 1 + below(4);
  policy.batch_items = coin() ? 1 : 1 + below(16);
  if (coin()) policy.batch_wait = below(20) * kMs;
  if (coin()) policy.batch_time = (1 + below(40)) * kMs;
  if (coin()) policy.hedge_every = static_cast<std::uint32_t>(2 + below(6));
  policy.max_key_batches = coin() ? 0 : 1 + below(4);
  policy.max_queue = 1 + below(200);
  policy.max_key_queue = coin() ? 0 : 1 + below(100);
  policy.max_stay = coin() ? Duration{} : (1 + below(3'000)) * kMs;
  policy.max_attempt = coin() ? Duration{} : (1 + below(200)) * kMs;
  if (coin()) policy.rate = {static_cast<double>(1 + below(500)) / 2, static_cast<double>(2 + below(40)) / 2};
  policy.attempts = static_cast<std::uint32_t>(1 + below(5));
  policy.backoff = below(100) * kMs;
  policy.max_backoff = below(400) * kMs;
  policy.max_hold = below(500) * kMs;
  policy.retry_unknown = coin();
  policy.breaker_failures = static_cast<std::uint32_t>(below(5));
  policy.breaker_pause = below(500) * kMs;
  return policy;
}

/// What the observer knows of an item.
struct Seen {
  std::string id, key;
  std::uint32_t weight = 1;
  SteadyTime since, expires;
  bool waiting = true;                  // may start, as far as it is up to itself
  std::optional<SteadyTime> waits_for;  // retry: the latest time at which it does wait
  SteadyTime earliest;                  // retry: not before
  std::uint32_t attempts = 0, unknown = 0, most_attempts = 1;
  std::uint64_t flight = 0;
  bool answered = false;
  std::optional<Ending> due;  // how it must have been answered by the next look
};

struct SeenKey {
  std::vector<std::pair<SteadyTime, std::uint32_t>> starts;
  std::size_t first_started = 0;  // arrival of the last item that had its first attempt
  std::size_t batches = 0, most_batches = 0, weight = 0;
  SteadyTime held, open_until;
  std::uint32_t failures = 0;
  bool broken = false;
  std::uint64_t probe = 0;
  SteadyTime paid_until;
  std::optional<SteadyTime> forget_at;
};

struct Flying {
  std::uint64_t id;
  std::size_t worker;
  std::string key;
  std::vector<std::size_t> items;
  SteadyTime ends, gives_up;
  std::uint64_t twin = 0;  // that has the same items
  bool beaten = false;     // its twin has answered
};

class Simulation {
 public:
  Simulation(const Policy& policy, std::uint64_t seed, int arrivals, double mean_gap_ms, double reliability)
      : policy_(policy),
        random_(seed),
        core_(policy, Random(seed + 1)),
        arrivals_(arrivals),
        gap_ms_(mean_gap_ms),
        reliability_(reliability) {}

  void run() {
    now_ = SteadyTime(std::chrono::hours(1));
    next_arrival_ = now_;
    for (int step = 0; step < 20'000; ++step) {
      if (arrivals_ > 0 && next_arrival_ <= now_) arrive();
      complete();
      look();
      auto next = core_.wake();
      RC_ASSERT(next > now_);
      if (arrivals_ > 0) next = std::min(next, next_arrival_);
      for (const auto& flight : flights_) next = std::min(next, flight.ends);
      if (next == SteadyTime::max()) break;
      if (core_.wake() == next && next - now_ > nanoseconds(1)) {
        now_ = next - nanoseconds(1);  // nothing may happen early
        Batch batch;
        RC_ASSERT(!core_.dispatch(now_, batch));
        core_.take_answers(answers_);
        RC_ASSERT(answers_.empty());
      }
      now_ = next;
    }
    RC_ASSERT(core_.queued() + core_.in_flight() == 0u);
    RC_ASSERT(core_.keys() == 0u);
    RC_CLASSIFY(hedges_ > 0, "hedges");
    for (const auto& item : items_) RC_ASSERT(item.answered);
    for (const auto& [name, key] : keys_) check_rate(key);
  }

  /// As run(), but it drains at some time: what is in flight ends as it ends, the rest is given back.
  void run_and_drain(int after) {
    now_ = SteadyTime(std::chrono::hours(1));
    next_arrival_ = now_;
    for (int step = 0; step < after; ++step) {
      if (arrivals_ > 0) arrive();
      complete();
      look();
      now_ = std::max(now_, next_arrival_);
    }
    complete();
    look();
    core_.drain(now_);
    draining_ = true;
    for (auto& item : items_)
      if (!item.answered && item.flight == 0) item.due = Ending::given_back;
    look();
    RC_ASSERT(core_.queued() == 0u);
    RC_ASSERT((core_.offer({"late", "k"}, now_).admission == Admission::draining));
    while (!flights_.empty()) {
      auto next = core_.wake();
      for (const auto& flight : flights_) next = std::min(next, flight.ends);
      now_ = std::max(now_, next);
      complete();
      look();
    }
    RC_ASSERT(core_.in_flight() == 0u);
    for (const auto& item : items_) RC_ASSERT(item.answered);
  }

 private:
  Duration some_ms(double mean) {
    return nanoseconds(static_cast<std::int64_t>(-mean * 1e6 * std::log(1 - random_.uniform())));
  }

  void arrive() {
    --arrivals_;
    next_arrival_ = now_ + some_ms(gap_ms_);
    Seen item;
    item.id = random_.below(4) == 0 ? "" : std::to_string(random_.below(400));
    item.key = std::string("k") + std::to_string(random_.below(4));
    const auto most = static_cast<std::uint32_t>(policy_.rate.per_second > 0 ? policy_.rate.burst : 20);
    item.weight = random_.below(3) == 0 ? 1 + random_.below(most) : 1;
    item.since = now_;
    item.expires = random_.below(2) == 0 ? SteadyTime::max() : now_ + some_ms(500);
    const std::size_t key_batches = random_.below(8) == 0 ? 1 + random_.below(3) : 0;
    const auto attempts = random_.below(4) == 0 ? 1 + random_.below(4) : 0;
    item.most_attempts = attempts > 0 ? attempts : policy_.attempts;
    const auto offered = core_.offer(
        {item.id, item.key, item.weight, item.expires, std::nullopt, key_batches, attempts}, now_);
    if (policy_.max_stay > Duration{}) item.expires = std::min(item.expires, now_ + policy_.max_stay);

    const auto twin = std::find_if(items_.begin(), items_.end(), [&](const Seen& other) {
      return !item.id.empty() && !other.answered && other.id == item.id;
    });
    if (twin != items_.end()) {
      RC_ASSERT((offered.admission == Admission::duplicate));
      RC_ASSERT(tickets_.at(offered.ticket) == static_cast<std::size_t>(twin - items_.begin()));
      return;
    }
    auto& key = keys_[item.key];
    const bool full = weight_ + item.weight > policy_.max_queue ||
                      (policy_.max_key_queue > 0 && key.weight + item.weight > policy_.max_key_queue);
    RC_ASSERT((offered.admission == (full ? Admission::full : Admission::accepted)));
    if (full) return;
    weight_ += item.weight;
    key.weight += item.weight;
    key.most_batches = key_batches > 0 ? key_batches : policy_.max_key_batches;
    tickets_[offered.ticket] = items_.size();
    if (item.expires <= now_) item.due = Ending::expired;
    items_.push_back(item);
  }

  /// Some workers report; others never did, and the core gave up on them by itself.
  void complete() {
    std::vector<Flying> lost, ended;
    std::erase_if(flights_, [&](const Flying& flight) {
      if (flight.gives_up <= now_)
        lost.push_back(flight);
      else if (flight.ends <= now_)
        ended.push_back(flight);
      return flight.ends <= now_;
    });
    const auto find = [&](std::uint64_t id) -> Flying& {
      for (auto* list : {&flights_, &ended, &lost})
        for (auto& flight : *list)
          if (flight.id == id) return flight;
      RC_FAIL("a twin that is not flying");
    };
    for (auto& flight : ended) finish(flight, find);
    std::erase_if(lost, [&](const Flying& flight) {  // these have reported in vain
      if (flight.beaten) RC_ASSERT(!core_.finished(flight.id, {}, now_));
      return flight.beaten;
    });
    for (auto& flight : lost) {
      if (flight.twin != 0) beat(flight, find);
      const std::vector<Report> reports(flight.items.size(), {Verdict::unknown});
      judge(flight, reports);
      for (const auto at : flight.items) settle(items_[at], reports.front());
    }
    if (!lost.empty()) look();
    for (const auto& flight : lost)  // a late report changes nothing
      RC_ASSERT(!core_.finished(flight.id, std::vector<Report>(flight.items.size(), {Verdict::done}), now_));
  }

  template <class Find>
  void beat(Flying& first, const Find& find) {
    auto& second = find(std::exchange(first.twin, 0));
    second.beaten = true;
    second.twin = 0;
    --keys_[second.key].batches;
  }

  template <class Find>
  void finish(Flying& flight, const Find& find) {
    if (flight.beaten)
      return RC_ASSERT(
          !core_.finished(flight.id, std::vector<Report>(flight.items.size(), {Verdict::done}), now_));
    std::vector<Report> reports;
    for (std::size_t i = 0; i < flight.items.size(); ++i) {
      const bool good = random_.uniform() < reliability_;
      Report report{good ? Verdict::done : static_cast<Verdict>(1 + random_.below(3))};
      if (random_.below(8) == 0) report.after = some_ms(100);
      reports.push_back(report);
    }
    const bool answers = std::all_of(reports.begin(), reports.end(), [](const Report& report) {
      return report.verdict == Verdict::done || report.verdict == Verdict::failed;
    });
    if (flight.twin != 0 && !answers) {  // the other one's report is waited for
      auto& twin = find(std::exchange(flight.twin, 0));
      twin.twin = 0;
      if (flight.gives_up < twin.gives_up) {
        twin.gives_up = flight.gives_up;
        twin.ends = std::min(twin.ends, twin.gives_up);
      }
      for (const auto at : flight.items) items_[at].flight = twin.id;
      --keys_[flight.key].batches;
      return RC_ASSERT(core_.finished(flight.id, reports, now_));
    }
    if (flight.twin != 0) beat(flight, find);
    judge(flight, reports);
    for (std::size_t i = 0; i < flight.items.size(); ++i) settle(items_[flight.items[i]], reports[i]);
    RC_ASSERT(core_.finished(flight.id, reports, now_));
  }

  /// A key without items is forgotten when there is nothing to remember of it.
  void forget() {
    for (auto& [name, key] : keys_) {
      if (key.weight > 0) {
        key.forget_at.reset();
        continue;
      }
      if (!key.forget_at)
        key.forget_at = std::max({now_, key.held, key.open_until, key.paid_until}) +
                        (key.broken || key.failures > 0 ? policy_.breaker_pause : Duration{});
      if (*key.forget_at > now_) continue;
      key.broken = false;
      key.failures = 0;
    }
  }

  void settle(Seen& item, const Report& report) {
    item.flight = 0;
    if (report.verdict == Verdict::unknown) ++item.unknown;
    const auto lost = [&](Ending ending) { return item.unknown > 0 ? Ending::unknown : ending; };
    const auto after = std::min(report.after, policy_.max_hold);
    const double window =
        std::min(static_cast<double>(policy_.max_backoff.count()),
                 static_cast<double>(policy_.backoff.count()) * std::pow(2, item.attempts - 1));
    const auto latest = now_ + after + nanoseconds(static_cast<std::int64_t>(window));
    if (report.verdict == Verdict::done) {
      item.due = Ending::done;
    } else if (report.verdict == Verdict::failed) {
      item.due = lost(Ending::failed);
    } else if (report.verdict == Verdict::unknown && !policy_.retry_unknown) {
      item.due = Ending::unknown;
    } else if (item.attempts == item.most_attempts) {
      item.due = lost(Ending::failed);
    } else if (draining_) {
      item.due = Ending::given_back;
    } else {
      item.earliest = now_ + after;
      item.waits_for = latest;
      if (now_ + after >= item.expires) item.due = lost(Ending::expired);
    }
  }

  void judge(const Flying& flight, const std::vector<Report>& reports) {
    auto& key = keys_[flight.key];
    --key.batches;
    bool alive = false, held = false;
    for (const auto& report : reports) {
      if (report.verdict == Verdict::done || report.verdict == Verdict::failed) {
        alive = true;
      } else if (report.after > Duration{}) {
        held = true;
        key.held = std::max(key.held, now_ + std::min(report.after, policy_.max_hold));
      }
    }
    const bool probe = key.probe == flight.id;
    if (probe) key.probe = 0;
    if (policy_.breaker_failures == 0 || (key.broken && !probe)) return;
    if (alive) {
      key.broken = false;
      key.failures = 0;
    } else if (!held && (probe || ++key.failures >= policy_.breaker_failures)) {
      key.broken = true;
      key.open_until = now_ + policy_.breaker_pause;
    }
  }

  /// Has the core do all that it wants, and checks it.
  void look() {
    Batch batch;
    while (core_.dispatch(now_, batch)) started(batch);
    core_.take_answers(answers_);
    for (const auto& answer : answers_) answered(answer);
    forget();
    std::size_t queued = 0;
    for (const auto& item : items_) {
      if (item.answered) continue;
      RC_ASSERT(!item.due.has_value());
      if (item.flight != 0) continue;
      ++queued;
      RC_ASSERT(item.expires > now_);
      RC_ASSERT(!could_start(item));
    }
    RC_ASSERT(core_.queued() == queued);
    RC_ASSERT(core_.weight() == weight_);
    const auto broken = std::count_if(keys_.begin(), keys_.end(), [](auto& k) { return k.second.broken; });
    RC_ASSERT(core_.open_breakers() == static_cast<std::size_t>(broken));
  }

  /// What takes long goes to an idle worker, too, and not more often than allowed.
  void hedged(const Batch& batch) {
    RC_ASSERT((++hedges_ * policy_.hedge_every <= starts_));
    RC_ASSERT(!draining_);
    std::vector<std::size_t> items;
    for (const auto& member : batch.members) {
      items.push_back(tickets_.at(member.ticket));
      RC_ASSERT(items_[items.back()].attempts == member.attempt);
    }
    const auto first = std::find_if(flights_.begin(), flights_.end(),
                                    [&](const Flying& f) { return f.id == items_[items[0]].flight; });
    RC_ASSERT(first != flights_.end());
    RC_ASSERT((first->items == items && first->twin == 0 && !first->beaten));
    for (const auto& flight : flights_) RC_ASSERT(flight.worker != batch.worker);
    auto& key = keys_[first->key];
    RC_ASSERT(!key.broken);
    ++key.batches;
    RC_ASSERT((key.most_batches == 0 || key.batches <= key.most_batches));
    first->twin = batch.id;
    flights_.push_back(
        {batch.id, batch.worker, first->key, items, now_ + some_ms(30), SteadyTime::max(), first->id});
  }

  void started(const Batch& batch) {
    RC_ASSERT(!batch.members.empty());
    if (batch.hedge) return hedged(batch);
    ++starts_;
    const auto first = tickets_.at(batch.members.front().ticket);
    auto& key = keys_[items_[first].key];
    // Some take far longer than most.
    const auto takes = some_ms(random_.below(20) == 0 ? 300 : 30);
    Flying flight{batch.id, batch.worker, items_[first].key, {}, now_ + takes, SteadyTime::max()};
    if (policy_.max_attempt > Duration{}) flight.gives_up = now_ + policy_.max_attempt;
    if (flight.gives_up < flight.ends) flight.ends = flight.gives_up;
    RC_ASSERT(key.held <= now_);
    RC_ASSERT((!key.broken || (key.open_until <= now_ && key.probe == 0 && batch.members.size() == 1)));
    if (key.broken) key.probe = batch.id;
    ++key.batches;
    RC_ASSERT((key.most_batches == 0 || key.batches <= key.most_batches));
    std::size_t weight = 0;
    auto oldest = SteadyTime::max();
    for (const auto& member : batch.members) {
      const auto at = tickets_.at(member.ticket);
      auto& item = items_[at];
      RC_ASSERT(item.key == flight.key);
      RC_ASSERT((!item.answered && item.flight == 0 && !item.due));
      RC_ASSERT(item.expires > now_);
      RC_ASSERT(member.expires == item.expires);
      RC_ASSERT(item.earliest <= now_);
      if (item.attempts == 0) {
        RC_ASSERT(at + 1 > key.first_started);
        key.first_started = at + 1;
      }
      RC_ASSERT(member.attempt == ++item.attempts);
      RC_ASSERT(item.attempts <= item.most_attempts);
      item.flight = batch.id;
      weight += item.weight;
      oldest = std::min(oldest, item.since);
      key.starts.emplace_back(now_, item.weight);
      if (policy_.rate.per_second > 0)
        key.paid_until =
            std::max(key.paid_until, now_) +
            item.weight * nanoseconds(static_cast<std::int64_t>(std::ceil(1e9 / policy_.rate.per_second)));
      flight.items.push_back(at);
    }
    RC_ASSERT(weight == batch.weight);
    RC_ASSERT(oldest == batch.oldest);
    RC_ASSERT((weight <= policy_.batch_items || batch.members.size() == 1));
    const auto load = static_cast<std::size_t>(std::count_if(
        flights_.begin(), flights_.end(), [&](const Flying& f) { return f.worker == batch.worker; }));
    RC_ASSERT(batch.worker < policy_.workers);
    if (!policy_.batch_wait) RC_ASSERT(load < policy_.worker_batches);
    flights_.push_back(flight);
  }

  /// Whether nothing keeps an item from starting.
  bool could_start(const Seen& item) {
    const auto& key = keys_[item.key];
    if (item.waits_for && *item.waits_for > now_ && item.attempts > 0) return false;
    if (key.held > now_ || key.probe != 0 || (key.broken && key.open_until > now_)) return false;
    if (key.most_batches > 0 && key.batches >= key.most_batches) return false;
    const bool room = flights_.size() < policy_.workers * policy_.worker_batches;
    if (!room && (!policy_.batch_wait || item.since + *policy_.batch_wait > now_)) return false;
    return key.paid_until <= now_;  // sooner, when it is light; this is certain
  }

  void answered(const Answer& answer) {
    auto& item = items_[tickets_.at(answer.ticket)];
    tickets_.erase(answer.ticket);
    RC_ASSERT(!item.answered);
    RC_ASSERT(item.flight == 0u);
    item.answered = true;
    weight_ -= item.weight;
    keys_[item.key].weight -= item.weight;
    RC_ASSERT(answer.attempts == item.attempts);
    RC_ASSERT(answer.unknown == item.unknown);
    if (item.due) {
      RC_ASSERT((answer.ending == *item.due));
      item.due.reset();
      return;
    }
    // Nobody said so: its time was up, or would be before its next attempt.
    RC_ASSERT((answer.ending == (item.unknown > 0 ? Ending::unknown : Ending::expired)));
    RC_ASSERT((item.expires <= now_ || (item.waits_for && *item.waits_for >= item.expires)));
  }

  /// In no stretch of time more than the burst and what the rate allows.
  void check_rate(const SeenKey& key) {
    const auto& rate = policy_.rate;
    if (rate.per_second <= 0) return;
    for (std::size_t from = 0; from < key.starts.size(); ++from) {
      double sum = 0;
      for (std::size_t to = from; to < key.starts.size(); ++to) {
        sum += key.starts[to].second;
        const auto stretch =
            std::chrono::duration<double>(key.starts[to].first - key.starts[from].first).count();
        RC_ASSERT(sum <= rate.burst + rate.per_second * stretch + 1e-6);
      }
    }
  }

  const Policy policy_;
  Random random_;
  Core core_;
  int arrivals_;
  const double gap_ms_, reliability_;
  bool draining_ = false;
  SteadyTime now_, next_arrival_;
  std::vector<Seen> items_;
  std::map<Ticket, std::size_t> tickets_;
  std::map<std::string, SeenKey> keys_;
  std::vector<Flying> flights_;
  std::vector<Answer> answers_;
  std::size_t weight_ = 0;
  std::uint64_t starts_ = 0, hedges_ = 0;
};

Simulation any_simulation() {
  const auto policy = any_policy();
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const auto arrivals =
      *rc::gen::inRange(1, policy.hedge_every > 0 ? 800 : 400);  // what is long must be known
  const auto gap = *rc::gen::element(0.1, 2.0, 20.0);
  const auto reliability = *rc::gen::element(1.0, 0.9, 0.5, 0.1);
  return {policy, seed, arrivals, gap, reliability};
}

}  // namespace

TEST_CASE("whatever the policy and the load: bounds hold, turns are kept, each item is answered once") {
  CHECK(rc::check([] { any_simulation().run(); }));
}

TEST_CASE("whatever is going on, a drain finishes what is in flight and gives back the rest") {
  CHECK(rc::check([] { any_simulation().run_and_drain(*rc::gen::inRange(0, 200)); }));
}

}  // namespace cx::pool
