#include "providers/pool/times.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace cx::pool {

std::size_t workers_for(double batches_per_second, Duration each, double busy) {
  const double under_way = batches_per_second * std::chrono::duration<double>(each).count();
  if (!(under_way > 0) || !(busy > 0)) return 1;
  // A load of 7 at 0.7 needs 10, not 11 for the rounding of a product.
  return static_cast<std::size_t>(std::clamp(std::ceil(under_way / std::min(busy, 1.0) - 1e-9), 1.0, 1e6));
}

void Times::record(Duration took) {
  ++counts_[bucket(static_cast<std::uint64_t>(std::max<std::int64_t>(0, took.count())))];
  if (++count_ >= kFade) {
    for (auto& count : counts_) count /= 2;
    count_ = std::accumulate(counts_.begin(), counts_.end(), 0U);
  }
  if (count_ >= kEnough && (p95_ == Duration{} || ++since_measured_ >= kEvery)) measure();
}

void Times::measure() {
  since_measured_ = 0;
  auto above = count_ / 20;
  auto at = counts_.size() - 1;
  for (; at > 0 && counts_[at] <= above; --at) above -= counts_[at];
  p95_ = Duration(static_cast<std::int64_t>(upper(at)));
}

void Costs::record(std::size_t weight, Duration took) {
  count_ = std::min(count_ + 1, kMemory);
  const double share = 1 / count_;
  const double by_weight = static_cast<double>(weight) - weight_;
  const double by_time = static_cast<double>(took.count()) - took_;
  weight_ += share * by_weight;
  took_ += share * by_time;
  variance_ = (1 - share) * (variance_ + share * by_weight * by_weight);
  covariance_ = (1 - share) * (covariance_ + share * by_weight * by_time);
  if (variance_ > 0.25) each_ = std::max(0.0, covariance_ / variance_);  // of one size nothing can be learnt
}

std::size_t Costs::fits(Duration time, std::size_t most) const {
  const double each =
      std::min(each_, took_ / std::max(weight_, 1.0));  // what was learnt may be of worse times
  const double fixed = took_ - each * weight_;
  const double left = static_cast<double>(time.count()) - fixed;
  if (count_ < kEnough || left <= 0 || left >= each * static_cast<double>(most)) return most;
  return static_cast<std::size_t>(std::max(1.0, left / each));
}

std::size_t Times::bucket(std::uint64_t nanoseconds) {
  const auto value = std::min(nanoseconds, (std::uint64_t{1} << kMaxBits) - 1);
  const auto bits = static_cast<unsigned>(std::bit_width(value));
  if (bits <= kStepBits) return value;
  const auto octave = bits - kStepBits;  // from 1
  return (std::size_t{octave} << kStepBits) + (value >> (octave - 1)) - (std::size_t{1} << kStepBits);
}

std::uint64_t Times::upper(std::size_t bucket) {
  const auto octave = bucket >> kStepBits;
  if (octave == 0) return bucket;
  const auto step = (bucket & ((std::size_t{1} << kStepBits) - 1)) + (std::size_t{1} << kStepBits);
  return ((std::uint64_t{step} + 1) << (octave - 1)) - 1;
}

}  // namespace cx::pool
