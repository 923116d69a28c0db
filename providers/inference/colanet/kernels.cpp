// The kernel, compiled once for each instruction set that Highway knows here and dispatched at run time.
// Vectors of an unknown length cannot be kept in arrays: SVE's CPUs take NEON.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "providers/inference/colanet/kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
//
#include <algorithm>
#include <cassert>
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "providers/inference/colanet/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace cx::inference::colanet::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The 16 microcolumns of a column, as weights (16 bits) and as sums and potentials (32 bits): in one vector
// of AVX-512, in more of others.
using D16 = hn::CappedTag<std::int16_t, kMicro>;
using D32 = hn::CappedTag<std::int32_t, kMicro>;
using V16 = hn::Vec<D16>;
using V32 = hn::Vec<D32>;
constexpr D16 d16;
constexpr D32 d32;
constexpr std::size_t kLanes16 = hn::MaxLanes(d16);
constexpr std::size_t kLanes32 = hn::MaxLanes(d32);
constexpr std::size_t kParts16 = kMicro / kLanes16;
constexpr std::size_t kParts32 = kMicro / kLanes32;

/// Columns that are computed together, so that one's sums do not wait for the other's: as many as the
/// registers hold.
constexpr std::size_t kTogether = kLanes32 >= 16 ? 4 : kLanes32 >= 8 ? 2 : 1;
/// Rows whose sum fits in 16 bits.
constexpr std::size_t kGroup = 32;
static_assert(kGroup * kMaxWeight <= 32'767);

/// Adds 16 numbers of 16 bits to 16 of 32.
template <class V>
HWY_INLINE void widen(const V (&part)[kParts16], V32 (&sum)[kParts32]) {
  if constexpr (kLanes16 == kLanes32) {
    for (std::size_t p = 0; p < kParts32; ++p) sum[p] = hn::Add(sum[p], hn::PromoteTo(d32, part[p]));
  } else {
#if HWY_TARGET != HWY_SCALAR  // which has no halves
    const hn::Half<D16> half;
    for (std::size_t p = 0; p < kParts16; ++p) {
      sum[2 * p] = hn::Add(sum[2 * p], hn::PromoteTo(d32, hn::LowerHalf(half, part[p])));
      sum[2 * p + 1] = hn::Add(sum[2 * p + 1], hn::PromoteTo(d32, hn::UpperHalf(half, part[p])));
    }
#endif
  }
}

/// N columns, and those that are computed after them, whose memory is fetched meanwhile.
template <std::size_t N>
struct Together {
  Column column[N];
  const std::int16_t* next[N];
};

/// Adds the rows of `inputs` to the sum of each column.
template <std::size_t N>
HWY_INLINE void add_rows(std::span<const std::uint16_t> inputs, const Together<N>& together,
                         V32 (&sum)[N][kParts32]) {
  const auto* input = inputs.data();
  for (auto left = inputs.size(); left > 0;) {
    const auto size = std::min(left, kGroup);
    V16 part[N][kParts16];
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t p = 0; p < kParts16; ++p) part[n][p] = hn::Zero(d16);
    for (const auto* const end = input + size; input != end; ++input) {
      const auto at = (std::size_t{*input} + 2) * kMicro;
      for (std::size_t n = 0; n < N; ++n) {
        hwy::Prefetch(together.next[n] + at);
        for (std::size_t p = 0; p < kParts16; ++p)
          part[n][p] = hn::Add(part[n][p], hn::Load(d16, together.column[n].data + at + p * kLanes16));
      }
    }
    for (std::size_t n = 0; n < N; ++n) widen(part[n], sum[n]);
    left -= size;
  }
}

/// 16 numbers of 16 bits, as 32.
HWY_INLINE void load(const std::int16_t* from, V32 (&to)[kParts32]) {
  const hn::Rebind<std::int16_t, D32> narrow;
  for (std::size_t p = 0; p < kParts32; ++p)
    to[p] = hn::PromoteTo(d32, hn::Load(narrow, from + p * kLanes32));
}

/// offset + sum of gain * total. A product fits in 32 bits, since -32768 <= total < 40960; the sum may not,
/// so that its upper and lower halves are added apart.
HWY_INLINE std::int64_t weigh(const Column& column, const V32 (&total)[kParts32]) {
  V32 gain[kParts32];
  load(column.gain(), gain);
  auto high = hn::Zero(d32);
  auto low = hn::Zero(d32);
  for (std::size_t p = 0; p < kParts32; ++p) {
    const auto product = hn::Mul(gain[p], total[p]);
    high = hn::Add(high, hn::ShiftRight<16>(product));
    low = hn::Add(low, hn::And(product, hn::Set(d32, 0xFFFF)));
  }
  return column.offset + std::int64_t{hn::GetLane(hn::SumOfLanes(d32, high))} * 65'536 +
         hn::GetLane(hn::SumOfLanes(d32, low));
}

template <std::size_t N>
HWY_INLINE void run(const Events& events, std::int32_t inhibition, const Together<N>& together,
                    std::int64_t* out) {
  V32 constant[N][kParts32];  // what every tick adds
  V32 u[N][kParts32];
  V32 total[N][kParts32];  // spikes so far, times the threshold
  V32 brake[N][kParts32];  // the inhibition by the spikes of the tick before
  for (std::size_t n = 0; n < N; ++n) {
    hwy::Prefetch(together.next[n]);
    load(together.column[n].bias(), constant[n]);
    for (std::size_t p = 0; p < kParts32; ++p) u[n][p] = total[n][p] = brake[n][p] = hn::Zero(d32);
  }
  add_rows(events.always, together, constant);

  const auto threshold = hn::Set(d32, kThreshold);
  const auto below = hn::Set(d32, kThreshold - 1);
  const auto least = hn::Set(d32, -32'768);
  const auto most = hn::Set(d32, 32'767);
  const auto own = hn::Set(d32, inhibition);
  for (const auto& tick : events.at) {
    V32 current[N][kParts32];
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t p = 0; p < kParts32; ++p) current[n][p] = hn::Sub(constant[n][p], brake[n][p]);
    add_rows(tick, together, current);
    for (std::size_t n = 0; n < N; ++n) {
      std::size_t firing = 0;
      for (std::size_t p = 0; p < kParts32; ++p) {
        const auto kept = hn::Sub(u[n][p], hn::ShiftRight<2>(u[n][p]));
        const auto now = hn::Min(hn::Max(hn::Add(kept, current[n][p]), least), most);
        const auto fires = hn::Gt(now, below);
        const auto spent = hn::IfThenElseZero(fires, threshold);
        u[n][p] = hn::Sub(now, spent);
        total[n][p] = hn::Add(total[n][p], spent);
        // A microcolumn does not inhibit itself.
        brake[n][p] = hn::IfThenElseZero(fires, own);
        firing += hn::CountTrue(d32, fires);
      }
      const auto all = hn::Set(d32, inhibition * static_cast<std::int32_t>(firing));
      for (std::size_t p = 0; p < kParts32; ++p) brake[n][p] = hn::Sub(all, brake[n][p]);
    }
  }
  for (std::size_t n = 0; n < N; ++n) {
    for (std::size_t p = 0; p < kParts32; ++p) total[n][p] = hn::Add(total[n][p], u[n][p]);
    out[n] = weigh(together.column[n], total[n]);
  }
}

/// The read-outs from `begin` on, N at a time, and of what remains fewer.
template <std::size_t N>
void run_from(std::size_t begin, const Events& events, const Columns& columns,
              std::span<const std::uint32_t> which, std::span<std::int64_t> out) {
  for (; which.size() - begin >= N; begin += N) {
    Together<N> together;
    for (std::size_t n = 0; n < N; ++n) {
      together.column[n] = columns.column(which[begin + n]);
      together.next[n] = columns.column(which[std::min(begin + N + n, which.size() - 1)]).data;
    }
    run(events, columns.inhibition, together, out.data() + begin);
  }
  if constexpr (N > 1) run_from<N / 2>(begin, events, columns, which, out);
}

void ReadOut(const Events& events, const Columns& columns, std::span<const std::uint32_t> which,
             std::span<std::int64_t> out) {
  run_from<kTogether>(0, events, columns, which, out);
}

}  // namespace cx::inference::colanet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cx::inference::colanet {

HWY_EXPORT(ReadOut);

void read_out(const Events& events, const Columns& columns, std::span<const std::uint32_t> which,
              std::span<std::int64_t> out) {
  assert(out.size() >= which.size());
  HWY_DYNAMIC_DISPATCH(ReadOut)(events, columns, which, out);
}

std::vector<Kernel> kernels() {
  std::vector<Kernel> found;
  // Better instruction sets are lower bits.
  for (auto left = HWY_SUPPORTED_TARGETS & HWY_TARGETS; left != 0; left &= left - 1) {
    const auto target = left & -left;
    hwy::ChosenTarget chosen;  // not the process's, which others use
    chosen.Update(target);
    const auto index = std::size(HWY_DISPATCH_TABLE(ReadOut)) == 1 ? 0 : chosen.GetIndex();
    found.push_back({hwy::TargetName(target), HWY_DISPATCH_TABLE(ReadOut)[index]});
  }
  return found;
}

}  // namespace cx::inference::colanet
#endif
