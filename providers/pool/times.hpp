#pragma once

#include <array>
#include <cstdint>

#include "providers/pool/policy.hpp"

namespace cx::pool {

/// How long batches took of late, in buckets of eight an octave: a percentile is at most 12.5 % above the
/// truth. What is older than some two thousand batches fades. Allocates nothing.
class Times {
 public:
  void record(Duration took);
  /// The 95th percentile; 0 while there are fewer than kEnough.
  Duration p95() const { return p95_; }

  static constexpr std::uint32_t kEnough = 100;

 private:
  static constexpr unsigned kStepBits = 3, kMaxBits = 40;  // up to 18 minutes
  static constexpr std::uint32_t kFade = 2'048, kEvery = 16;

  static std::size_t bucket(std::uint64_t nanoseconds);
  static std::uint64_t upper(std::size_t bucket);
  void measure();

  std::array<std::uint32_t, (kMaxBits - kStepBits + 1) << kStepBits> counts_{};
  std::uint32_t count_ = 0, since_measured_ = 0;
  Duration p95_{0};
};

/// How the time that a batch takes goes with its weight: a straight line through what was seen of late.
class Costs {
 public:
  void record(std::size_t weight, Duration took);
  /// The largest weight, from 1 to `most`, whose batch is expected to take no longer than `time`. `most`
  /// while too little is known, and when no batch is that quick, as then only large ones get the work done.
  std::size_t fits(Duration time, std::size_t most) const;

 private:
  static constexpr double kMemory = 256, kEnough = 32;  // batches
  double count_ = 0, weight_ = 0, took_ = 0, variance_ = 0, covariance_ = 0, each_ = 0;
};

}  // namespace cx::pool
