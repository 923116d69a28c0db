#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <doctest/doctest.h>
#include <functional>
#include <map>
#include <queue>

#include "providers/inference/supervisor.hpp"
#include "providers/pool/core.hpp"
#include "runtime/random.hpp"
#include "runtime/telemetry/histogram.hpp"

// What the supervisor makes of a load, under a virtual clock: the core of the pool with the policy of the
// inference supervisor, Poisson arrivals of single items, and providers of which only the time that they take
// is known.

namespace cx::inference {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

using pool::Duration;

/// Time that a provider takes for a batch.
using Service = std::function<nanoseconds(std::size_t items, Random&)>;

struct Load {
  const char* name;
  double per_second;
  Service service;
  bool serial = true;  // a batch waits for the one before it at the same provider
  Duration drain_after = Duration::max();
};

struct Outcome {
  std::array<std::size_t, 17> sizes{};
  std::size_t offered = 0, done = 0, batches = 0, items = 0, hedges = 0;
  Histogram wait_ns, latency_ns;
  double mean() const {
    return static_cast<double>(items) / static_cast<double>(std::max<std::size_t>(1, batches));
  }
};

class Simulation {
 public:
  Simulation(const BatchPolicy& policy, const Load& load, std::uint64_t seed)
      : policy_(make_policy(policy)),
        load_(load),
        random_(seed),
        core_(policy_, Random(seed + 1)),
        free_(policy_.workers) {}

  Outcome run(std::size_t arrivals) {
    auto arrival = now_ + gap();
    const auto drains = load_.drain_after == Duration::max() ? SteadyTime::max() : now_ + load_.drain_after;
    for (;;) {
      settle();
      auto next = core_.wake();
      if (arrivals > 0) next = std::min(next, arrival);
      if (!core_.draining()) next = std::min(next, drains);
      if (!ends_.empty()) next = std::min(next, ends_.top().first);
      if (next == SteadyTime::max()) break;
      now_ = next;
      if (now_ == drains) {
        core_.drain(now_, true);
        arrivals = 0;
      }
      if (arrivals > 0 && now_ == arrival) {
        --arrivals;
        arrival = now_ + gap();
        const auto offered = core_.offer({}, now_);
        REQUIRE((offered.admission == pool::Admission::accepted));
        since_[offered.ticket] = now_;
        ++out_.offered;
      }
      while (!ends_.empty() && ends_.top().first <= now_) {
        const auto batch = ends_.top().second;
        ends_.pop();
        core_.finished(batch, std::vector<pool::Report>(sizes_.at(batch), {pool::Verdict::done}), now_);
        sizes_.erase(batch);
      }
    }
    CHECK(core_.queued() + core_.in_flight() == 0);
    out_.hedges = core_.hedges();
    return std::move(out_);
  }

 private:
  nanoseconds gap() {
    return nanoseconds(static_cast<std::int64_t>(-1e9 / load_.per_second * std::log(1 - random_.uniform())));
  }

  void settle() {
    pool::Batch batch;
    while (core_.dispatch(now_, batch)) {
      auto& free = free_[batch.worker];
      const auto begins = load_.serial ? std::max(now_, free) : now_;
      free = begins + load_.service(batch.members.size(), random_);
      ends_.emplace(free, batch.id);
      sizes_[batch.id] = batch.members.size();
      if (batch.hedge) continue;
      ++out_.batches;
      out_.items += batch.members.size();
      REQUIRE(batch.members.size() <= policy_.batch_items);
      ++out_.sizes[batch.members.size()];
      REQUIRE(now_ - batch.oldest <= *policy_.batch_wait);
      out_.wait_ns.record(static_cast<std::uint64_t>((now_ - batch.oldest).count()));
    }
    core_.take_answers(answers_);
    for (const auto& answer : answers_) {
      REQUIRE((answer.ending == pool::Ending::done));
      ++out_.done;
      out_.latency_ns.record(static_cast<std::uint64_t>((now_ - since_.at(answer.ticket)).count()));
      since_.erase(answer.ticket);
    }
  }

  const pool::Policy policy_;
  const Load& load_;
  Random random_;
  pool::Core core_;
  SteadyTime now_{std::chrono::hours(1)};
  std::vector<SteadyTime> free_;
  using End = std::pair<SteadyTime, std::uint64_t>;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  std::map<std::uint64_t, std::size_t> sizes_;
  std::map<pool::Ticket, SteadyTime> since_;
  std::vector<pool::Answer> answers_;
  Outcome out_;
};

void print(const Load& load, const Outcome& out) {
  const auto us = [](const Histogram& of, double p) { return static_cast<double>(of.percentile(p)) / 1e3; };
  std::printf(
      "%-9s %6.0f/s: mean batch %5.2f, waits us p50 %5.0f p99 %5.0f max %5.0f, answers us p50 %6.0f p99 "
      "%6.0f |",
      load.name, load.per_second, out.mean(), us(out.wait_ns, 50), us(out.wait_ns, 99), us(out.wait_ns, 100),
      us(out.latency_ns, 50), us(out.latency_ns, 99));
  for (std::size_t size = 1; size < out.sizes.size(); ++size)
    std::printf(" %.0f", 100.0 * static_cast<double>(out.sizes[size]) / static_cast<double>(out.batches));
  std::printf(" %% of 1..16\n");
}

/// Always busy: a far server that answers a batch after 20 ms whatever else it has. Only the two bounds make
/// batches.
nanoseconds far(std::size_t, Random&) {
  return milliseconds(20);
}
/// The CPU provider as `bench supervisor` measured it, 27 us for a batch of one with handing over; of that, a
/// quarter is put down to the item.
nanoseconds cpu(std::size_t items, Random&) {
  return microseconds(20) + microseconds(7) * items;
}
/// An accelerator of 100 us a batch (Groq's in FR-INF), whatever its size.
nanoseconds groq(std::size_t, Random&) {
  return microseconds(100);
}

}  // namespace

TEST_CASE(
    "with providers always busy the bounds make the batches: the wait at low rates, the size at high ones") {
  struct Row {
    double per_second, least, most;
  };
  // Expected: the oldest and those that come within 500 us of it, 1 + rate * wait, at most 16.
  for (const auto& [rate, least, most] : {Row{700, 1.25, 1.42}, Row{10'000, 5.6, 6.2}, Row{30'000, 14, 16}}) {
    const Load load{"far", rate, far, false};
    const auto out = Simulation({.batch_time = microseconds(0)}, load, 1).run(60'000);
    print(load, out);
    CHECK(out.done == 60'000);
    CHECK(out.mean() > least);
    CHECK(out.mean() < most);
  }
}

TEST_CASE("with an idle provider nothing waits, and batches grow with the load, not before") {
  struct Row {
    Load load;
    std::size_t pool;
    double least, most;
  };
  const Row rows[] = {
      {{"cpu", 700, cpu}, 1, 1, 1.05},     {{"cpu", 10'000, cpu}, 1, 1.01, 2},
      {{"cpu", 30'000, cpu}, 1, 1.3, 4},   {{"cpu", 100'000, cpu}, 1, 4, 14},
      {{"groq", 700, groq}, 1, 1, 1.05},   {{"groq", 10'000, groq}, 1, 1.2, 2.5},
      {{"groq", 30'000, groq}, 1, 2.5, 4}, {{"groq", 140'000, groq}, 1, 12, 16},
      {{"groq", 30'000, groq}, 4, 1, 1.6},
  };
  for (const auto& [load, size, least, most] : rows) {
    const auto out = Simulation({.pool = size}, load, 1).run(40'000);
    print(load, out);
    CHECK(out.done == 40'000);
    CHECK(out.mean() >= least);
    CHECK(out.mean() < most);
    CHECK(out.latency_ns.percentile(99) < 1'000'000);
  }
}

TEST_CASE("a pool of the size that Little's law says keeps up") {
  const auto ms_5 = [](std::size_t, Random& random) {
    return nanoseconds(static_cast<std::int64_t>(-5e6 * std::log(1 - random.uniform())));
  };
  const Load load{"remote", 10'000, ms_5};
  // At 500 us of wait a batch has 6 items at least.
  const auto size = pool::workers_for(10'000.0 / 6, milliseconds(5));
  CHECK(size == 12);
  const auto out =
      Simulation({.pool = size, .batch_time = microseconds(0), .hedge_every = 0}, load, 1).run(60'000);
  print(load, out);
  CHECK(out.done == 60'000);
  CHECK(out.latency_ns.percentile(50) < 10'000'000);
}

TEST_CASE("hedging takes the long waits away for 2 % of the batches") {
  const auto stalls = [](std::size_t, Random& random) {
    return random.below(200) == 0 ? nanoseconds(milliseconds(80)) : nanoseconds(microseconds(400));
  };
  const Load load{"stalls", 2'000, stalls};
  const auto policy = [](std::uint32_t every) {
    return BatchPolicy{.pool = 4, .batch_time = microseconds(0), .hedge_every = every};
  };
  const auto without = Simulation(policy(0), load, 1).run(60'000);
  const auto with = Simulation(policy(50), load, 1).run(60'000);
  print(load, without);
  print(load, with);
  std::printf("hedges: %.2f %% of %zu batches; p99 %.1f ms, without %.1f ms\n",
              100.0 * static_cast<double>(with.hedges) / static_cast<double>(with.batches), with.batches,
              static_cast<double>(with.latency_ns.percentile(99)) / 1e6,
              static_cast<double>(without.latency_ns.percentile(99)) / 1e6);
  CHECK(with.hedges > 0);
  CHECK(with.hedges * 50 <= with.batches);
  // Not all: now and then every provider stalls.
  CHECK(with.latency_ns.percentile(99) < without.latency_ns.percentile(99) / 4);
}

TEST_CASE("a shutdown under load drops nothing") {
  for (const auto& service : {Service(far), Service(cpu), Service(groq)})
    for (const int after_us : {1'000, 20'100, 333'333}) {
      const Load load{"drain", 30'000, service, false, microseconds(after_us)};
      const auto out = Simulation({}, load, 1).run(1'000'000);
      CHECK(out.offered > 10);
      CHECK(out.done == out.offered);
    }
}

}  // namespace cx::inference
