// Compiled once for each instruction set that Highway knows here, as the kernel that it is compared with.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/bench/dense.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
//
#include <algorithm>
#include <hwy/highway.h>

#include "tests/bench/dense.hpp"

HWY_BEFORE_NAMESPACE();
namespace cx::bench::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using inference::colanet::kMicro;
using inference::colanet::kThreshold;
using inference::colanet::kTicks;

using D = hn::CappedTag<float, kMicro>;
using V = hn::Vec<D>;
constexpr D d;
constexpr std::size_t kLanes = hn::MaxLanes(d);
constexpr std::size_t kParts = kMicro / kLanes;

/// N columns. Their sums for B ticks are kept in registers while their weights pass by.
template <std::size_t N, std::size_t B>
void run(const Dense& dense, const float* spikes, const std::uint32_t* which, std::int64_t* out) {
  HWY_ALIGN float drive[kTicks][N][kMicro];
  const float* weights[N];
  for (std::size_t n = 0; n < N; ++n) weights[n] = dense.column(which[n]);
  for (std::size_t begin = 0; begin < kTicks; begin += B) {
    V sum[B][N][kParts];
    for (std::size_t b = 0; b < B; ++b)
      for (std::size_t n = 0; n < N; ++n)
        for (std::size_t p = 0; p < kParts; ++p) sum[b][n][p] = hn::Load(d, weights[n] + p * kLanes);
    for (std::size_t j = 0; j < dense.inputs; ++j) {
      V weight[N][kParts];
      for (std::size_t n = 0; n < N; ++n)
        for (std::size_t p = 0; p < kParts; ++p)
          weight[n][p] = hn::Load(d, weights[n] + (j + 1) * kMicro + p * kLanes);
      for (std::size_t b = 0; b < B; ++b) {
        const auto spike = hn::Set(d, spikes[j * kTicks + begin + b]);
        for (std::size_t n = 0; n < N; ++n)
          for (std::size_t p = 0; p < kParts; ++p)
            sum[b][n][p] = hn::MulAdd(spike, weight[n][p], sum[b][n][p]);
      }
    }
    for (std::size_t b = 0; b < B; ++b)
      for (std::size_t n = 0; n < N; ++n)
        for (std::size_t p = 0; p < kParts; ++p) hn::Store(sum[b][n][p], d, drive[begin + b][n] + p * kLanes);
  }

  const auto threshold = hn::Set(d, static_cast<float>(kThreshold));
  const auto own = hn::Set(d, dense.inhibition);
  for (std::size_t n = 0; n < N; ++n) {
    V u[kParts];
    V total[kParts];
    V brake[kParts];
    for (std::size_t p = 0; p < kParts; ++p) u[p] = total[p] = brake[p] = hn::Zero(d);
    for (std::size_t t = 0; t < kTicks; ++t) {
      std::size_t firing = 0;
      for (std::size_t p = 0; p < kParts; ++p) {
        const auto kept = hn::Sub(u[p], hn::Floor(hn::Mul(u[p], hn::Set(d, 0.25F))));
        const auto driven = hn::Sub(hn::Add(kept, hn::Load(d, drive[t][n] + p * kLanes)), brake[p]);
        const auto now = hn::Min(hn::Max(driven, hn::Set(d, -32'768.0F)), hn::Set(d, 32'767.0F));
        const auto fires = hn::Ge(now, threshold);
        const auto spent = hn::IfThenElseZero(fires, threshold);
        u[p] = hn::Sub(now, spent);
        total[p] = hn::Add(total[p], spent);
        brake[p] = hn::IfThenElseZero(fires, own);
        firing += hn::CountTrue(d, fires);
      }
      const auto all = hn::Set(d, dense.inhibition * static_cast<float>(firing));
      for (std::size_t p = 0; p < kParts; ++p) brake[p] = hn::Sub(all, brake[p]);
    }
    HWY_ALIGN float sums[kMicro];
    for (std::size_t p = 0; p < kParts; ++p) hn::Store(hn::Add(total[p], u[p]), d, sums + p * kLanes);
    auto z = dense.offsets[which[n]];
    for (std::size_t m = 0; m < kMicro; ++m)
      z += std::int64_t{dense.gains[which[n] * kMicro + m]} * static_cast<std::int32_t>(sums[m]);
    out[n] = z;
  }
}

template <std::size_t N, std::size_t B>
void run_all(const Dense& dense, std::span<const float> spikes, std::span<const std::uint32_t> which,
             std::span<std::int64_t> out) {
  std::size_t i = 0;
  for (; i + N <= which.size(); i += N) run<N, B>(dense, spikes.data(), which.data() + i, out.data() + i);
  for (; i < which.size(); ++i) run<1, B>(dense, spikes.data(), which.data() + i, out.data() + i);
}

// As many sums as fill half of the registers, so that additions do not wait for each other.
constexpr std::size_t kBlock = std::max<std::size_t>(kLanes / 2, 1);

void ReadOut(const Dense& dense, std::span<const float> spikes, std::span<const std::uint32_t> which,
             std::span<std::int64_t> out) {
  run_all<(kLanes >= 16 ? 2 : 1), kBlock>(dense, spikes, which, out);
}

void ReadOutByTick(const Dense& dense, std::span<const float> spikes, std::span<const std::uint32_t> which,
                   std::span<std::int64_t> out) {
  run_all<kBlock, 1>(dense, spikes, which, out);
}

}  // namespace cx::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cx::bench {

using inference::colanet::kMicro;
using inference::colanet::kTicks;

HWY_EXPORT(ReadOut);
HWY_EXPORT(ReadOutByTick);

Dense::Dense(const inference::colanet::Columns& columns)
    : inputs(columns.inputs),
      inhibition(columns.inhibition),
      numbers(hwy::AllocateAligned<float>(columns.count * (std::size_t{columns.inputs} + 1) * kMicro)),
      offsets(columns.offsets) {
  auto* to = numbers.get();
  for (std::uint32_t c = 0; c < columns.count; ++c) {
    const auto from = columns.column(c);
    to = std::copy_n(from.bias(), kMicro, to);
    to = std::copy_n(from.row(0), inputs * kMicro, to);
    gains.insert(gains.end(), from.gain(), from.gain() + kMicro);
  }
}

void Dense::read_out(std::span<const float> spikes, std::span<const std::uint32_t> which,
                     std::span<std::int64_t> out) const {
  HWY_DYNAMIC_DISPATCH(ReadOut)(*this, spikes, which, out);
}

void Dense::read_out_by_tick(std::span<const float> spikes, std::span<const std::uint32_t> which,
                             std::span<std::int64_t> out) const {
  HWY_DYNAMIC_DISPATCH(ReadOutByTick)(*this, spikes, which, out);
}

void expand(const inference::colanet::Events& events, std::uint32_t inputs, std::vector<float>& spikes) {
  spikes.assign(std::size_t{inputs} * kTicks, 0);
  for (const auto input : events.always) std::fill_n(spikes.begin() + input * kTicks, kTicks, 1.0F);
  for (std::size_t t = 0; t < kTicks; ++t)
    for (const auto input : events.at[t]) spikes[input * kTicks + t] = 1;
}

}  // namespace cx::bench
#endif
