#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "tools/loadgen/random.hpp"

namespace cx::loadgen {

/// Nanoseconds since the load began.
using Nanos = std::int64_t;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

enum class Arrivals { poisson, uniform };

/// When requests are meant to be sent, whether or not anybody can send them. What is due and not yet taken
/// waits in a queue, and keeps its intended time: a latency counted from it contains the wait, so that a
/// server's stall is not hidden by a client that politely stops asking (no coordinated omission).
class Schedule {
 public:
  static constexpr std::size_t kMaxWaiting = 100'000;

  /// `rate`: requests a second, > 0. The first is due at about `first`, the last before `end`.
  Schedule(Arrivals arrivals, double rate, Nanos first, Nanos end, std::uint64_t seed)
      : arrivals_(arrivals),
        gap_(static_cast<double>(kSecond) / rate),
        end_(end),
        random_(seed),
        next_(static_cast<double>(first)) {
    if (arrivals_ == Arrivals::poisson) step();
  }

  /// Puts everything due by `now` into the queue. Past kMaxWaiting a request is lost; it is counted when it
  /// was due at or after `count_from`. Returns how many were lost and counted.
  std::uint64_t advance(Nanos now, Nanos count_from) {
    std::uint64_t lost = 0;
    for (; next() <= now && !exhausted(); step()) {
      if (waiting_.size() < kMaxWaiting)
        waiting_.push_back(next());
      else
        lost += next() >= count_from;
    }
    return lost;
  }

  /// The intended time of the longest waiting request, which leaves the queue.
  std::optional<Nanos> take() {
    if (waiting_.empty()) return std::nullopt;
    const Nanos intended = waiting_.front();
    waiting_.pop_front();
    return intended;
  }

  /// When the next request falls due.
  Nanos next() const { return static_cast<Nanos>(next_); }
  /// Nothing more will fall due.
  bool exhausted() const { return next() >= end_; }
  const std::deque<Nanos>& waiting() const { return waiting_; }

 private:
  void step() { next_ += arrivals_ == Arrivals::poisson ? -std::log1p(-uniform(random_)) * gap_ : gap_; }

  Arrivals arrivals_;
  double gap_;
  Nanos end_;
  Random random_;
  double next_;
  std::deque<Nanos> waiting_;
};

}  // namespace cx::loadgen
