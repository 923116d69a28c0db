#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace cx {

/// High-dynamic-range histogram of non-negative integers (we use nanoseconds): log-linear buckets with 64
/// steps an octave, so that a percentile is at most 1.6 % above the truth. Values up to 2^40 - 1 (18 minutes
/// in nanoseconds); larger ones count as that. See G. Tene, HdrHistogram. Not thread-safe; merge one per
/// thread.
class Histogram {
 public:
  static constexpr unsigned kStepBits = 6;
  static constexpr unsigned kMaxBits = 40;
  static constexpr std::size_t kBuckets = (kMaxBits - kStepBits + 1) << kStepBits;

  Histogram() : counts_(kBuckets) {}

  static std::size_t bucket(std::uint64_t value) noexcept;
  /// Largest value that falls in a bucket.
  static std::uint64_t upper(std::size_t bucket) noexcept;

  void record(std::uint64_t value, std::uint64_t times = 1) noexcept;
  void merge(const Histogram& other) noexcept;
  void add_bucket(std::size_t bucket, std::uint64_t times) noexcept;

  std::uint64_t count() const noexcept { return count_; }
  /// Largest recorded value, to the bucket's precision; 0 when empty.
  std::uint64_t max() const noexcept { return percentile(100.0); }
  double mean() const noexcept;
  /// Smallest bucket bound that at least p percent of the values are at or below; p in [0, 100]. 0 when
  /// empty.
  std::uint64_t percentile(double p) const noexcept;
  /// How many values are at or below `value`, to the bucket's precision.
  std::uint64_t count_up_to(std::uint64_t value) const noexcept;

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

/// A Histogram that threads record into without a lock or a shared cache line, merged when read.
class SharedHistogram {
 public:
  SharedHistogram();
  void record(std::uint64_t value) noexcept;
  Histogram read() const;

 private:
  struct Slot {
    std::array<std::atomic<std::uint32_t>, Histogram::kBuckets> counts{};
  };
  static constexpr std::size_t kSlots = 8;
  std::array<std::unique_ptr<Slot>, kSlots> slots_;
};

}  // namespace cx
