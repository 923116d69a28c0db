#include <algorithm>
#include <bit>
#include <cmath>

#include "runtime/telemetry/counter.hpp"
#include "runtime/telemetry/histogram.hpp"

namespace cx {

std::size_t telemetry_slot() noexcept {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t slot = next.fetch_add(1, std::memory_order_relaxed) % kTelemetrySlots;
  return slot;
}

// Values below 2^kStepBits have a bucket each; above, the top kStepBits+1 bits name it.
std::size_t Histogram::bucket(std::uint64_t value) noexcept {
  value = std::min(value, (std::uint64_t{1} << kMaxBits) - 1);
  if (value < (1U << kStepBits)) return value;
  const unsigned octave = static_cast<unsigned>(std::bit_width(value)) - kStepBits - 1;
  return (static_cast<std::size_t>(octave) << kStepBits) + (value >> octave);
}

std::uint64_t Histogram::upper(std::size_t bucket) noexcept {
  if (bucket < (2U << kStepBits)) return bucket;
  const std::size_t octave = (bucket >> kStepBits) - 1;
  const std::uint64_t step = bucket - (octave << kStepBits);
  return ((step + 1) << octave) - 1;
}

void Histogram::record(std::uint64_t value, std::uint64_t times) noexcept {
  add_bucket(bucket(value), times);
}

void Histogram::add_bucket(std::size_t bucket, std::uint64_t times) noexcept {
  counts_[bucket] += times;
  count_ += times;
  sum_ += static_cast<double>(upper(bucket)) * static_cast<double>(times);
}

void Histogram::merge(const Histogram& other) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
}

double Histogram::mean() const noexcept {
  return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

std::uint64_t Histogram::percentile(double p) const noexcept {
  if (count_ == 0) return 0;
  const double exact = std::clamp(p, 0.0, 100.0) / 100.0 * static_cast<double>(count_);
  const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(exact)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= wanted) return upper(i);
  }
  return upper(kBuckets - 1);
}

std::uint64_t Histogram::count_up_to(std::uint64_t value) const noexcept {
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i <= bucket(value); ++i) seen += counts_[i];
  return seen;
}

SharedHistogram::SharedHistogram() {
  for (auto& slot : slots_) slot = std::make_unique<Slot>();
}

void SharedHistogram::record(std::uint64_t value) noexcept {
  slots_[telemetry_slot() % kSlots]->counts[Histogram::bucket(value)].fetch_add(1, std::memory_order_relaxed);
}

Histogram SharedHistogram::read() const {
  Histogram all;
  for (const auto& slot : slots_)
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i)
      if (const auto n = slot->counts[i].load(std::memory_order_relaxed)) all.add_bucket(i, n);
  return all;
}

}  // namespace cx
