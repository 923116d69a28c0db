#include "tools/loadgen/schedule.hpp"

#include <cmath>
#include <doctest/doctest.h>
#include <vector>

#include "runtime/telemetry/histogram.hpp"

namespace cx::loadgen {
namespace {

constexpr Nanos kMicrosecond = 1'000;

/// One connection to a server that answers in 100 us, save that it stops for a second after one second; by a
/// clock that only the simulation moves. What `measure` makes of intended, sent and answered times is
/// recorded.
template <class Measure>
Histogram simulate_stall(Measure measure) {
  Schedule schedule(Arrivals::uniform, 1'000, 0, 4 * kSecond, 1);
  Histogram latency;
  Nanos now = 0;
  while (true) {
    CHECK(schedule.advance(now, 0) == 0);
    if (const auto intended = schedule.take()) {
      const bool stalled = now >= kSecond && now < kSecond + kMillisecond;
      const Nanos answered = now + (stalled ? kSecond : 100 * kMicrosecond);
      latency.record(static_cast<std::uint64_t>(measure(*intended, now, answered)));
      now = answered;
    } else if (schedule.exhausted()) {
      return latency;
    } else {
      now = schedule.next();
    }
  }
}

TEST_CASE("a stall of the server shows in the latency of every request that it delayed") {
  const Histogram ours =
      simulate_stall([](Nanos intended, Nanos, Nanos answered) { return answered - intended; });
  // What a load generator sees that counts from sending: the stall is one slow request among four thousand.
  const Histogram naive = simulate_stall([](Nanos, Nanos sent, Nanos answered) { return answered - sent; });

  const auto slower = [](const Histogram& latency, Nanos than) {
    return latency.count() - latency.count_up_to(static_cast<std::uint64_t>(than));
  };
  CHECK(ours.count() == 4'000);
  CHECK(naive.count() == 4'000);
  CHECK(slower(naive, kMillisecond) == 1);
  // 1,000 fall due during the stall, and the backlog then shrinks by 9 in 10 ms.
  CHECK(slower(ours, 500 * kMillisecond) == doctest::Approx(556).epsilon(0.03));
  CHECK(slower(ours, 10 * kMillisecond) == doctest::Approx(1'100).epsilon(0.03));
  CHECK(ours.percentile(50) < static_cast<std::uint64_t>(kMillisecond));
  CHECK(ours.percentile(99) > 900U * kMillisecond);
}

TEST_CASE("uniform arrivals are evenly spaced and end in time") {
  Schedule schedule(Arrivals::uniform, 100, 5 * kMillisecond, kSecond, 1);
  CHECK(schedule.advance(2 * kSecond, 0) == 0);
  CHECK(schedule.exhausted());
  REQUIRE(schedule.waiting().size() == 100);
  for (Nanos i = 0; i < 100; ++i) CHECK(schedule.take() == 5 * kMillisecond + i * 10 * kMillisecond);
  CHECK(schedule.take() == std::nullopt);
}

TEST_CASE("Poisson arrivals have the rate, the spread and the seed that were asked for") {
  const auto gaps = [](std::uint64_t seed) {
    Schedule schedule(Arrivals::poisson, 1'000, 0, 50 * kSecond, seed);
    schedule.advance(50 * kSecond, 0);
    std::vector<double> list;
    Nanos last = 0;
    for (const Nanos due : schedule.waiting()) {
      list.push_back(static_cast<double>(due - last) / kMillisecond);
      last = due;
    }
    return list;
  };
  const std::vector<double> sample = gaps(7);
  // 50,000 expected; five standard deviations.
  CHECK(std::abs(static_cast<double>(sample.size()) - 50'000) < 5 * std::sqrt(50'000));
  double sum = 0, squares = 0;
  for (const double gap : sample) sum += gap, squares += gap * gap;
  const double mean = sum / static_cast<double>(sample.size());
  CHECK(mean == doctest::Approx(1.0).epsilon(0.025));
  // An exponential's variance is the square of its mean.
  CHECK(squares / static_cast<double>(sample.size()) - mean * mean == doctest::Approx(1.0).epsilon(0.05));
  CHECK(gaps(7) == sample);
  CHECK(gaps(8) != sample);
}

TEST_CASE("the queue is bounded and what it cannot hold is counted, save in the warm-up") {
  Schedule schedule(Arrivals::uniform, 1e6, 0, kSecond, 1);
  CHECK(schedule.advance(kSecond, kSecond / 2) == 500'000);
  CHECK(schedule.waiting().size() == Schedule::kMaxWaiting);
  CHECK(schedule.take() == 0);
}

TEST_CASE("the Zipf sampler has the exact distribution") {
  for (const double s : {0.0, 0.8, 1.0, 1.3}) {
    CAPTURE(s);
    constexpr std::uint32_t n = 50;
    constexpr int samples = 200'000;
    const Zipf zipf(n, s);
    Random random(42);
    std::vector<int> seen(n);
    for (int i = 0; i < samples; ++i) {
      const std::uint32_t rank = zipf(random);
      REQUIRE(rank < n);
      ++seen[rank];
    }
    double norm = 0, chi_squared = 0;
    for (std::uint32_t rank = 0; rank < n; ++rank) norm += std::pow(rank + 1, -s);
    for (std::uint32_t rank = 0; rank < n; ++rank) {
      const double expected = samples * std::pow(rank + 1, -s) / norm;
      chi_squared += (seen[rank] - expected) * (seen[rank] - expected) / expected;
    }
    // 49 degrees of freedom: exceeded by one correct sampler in 1,000.
    CHECK(chi_squared < 85.4);
  }
}

TEST_CASE("the Zipf sampler covers one user and a million") {
  Random random(1);
  CHECK(Zipf(1, 1.0)(random) == 0);
  const Zipf zipf(1'000'000, 1.0);
  int first = 0, tail = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::uint32_t rank = zipf(random);
    REQUIRE(rank < 1'000'000);
    first += rank == 0;
    tail += rank >= 1'000;
  }
  // H(1,000,000) = 14.3927, H(1,000) = 7.4855.
  CHECK(first / 1e5 == doctest::Approx(1 / 14.3927).epsilon(0.05));
  CHECK(tail / 1e5 == doctest::Approx(1 - 7.4855 / 14.3927).epsilon(0.02));
}

}  // namespace
}  // namespace cx::loadgen
