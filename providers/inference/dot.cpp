// The kernel, compiled once for each instruction set that Highway knows here and dispatched at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "providers/inference/dot.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
//
#include <hwy/highway.h>

#include "providers/inference/linear.hpp"

HWY_BEFORE_NAMESPACE();
namespace cx::inference::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

float Dot(const float* a, const float* b) {
  const hn::ScalableTag<float> d;
  const auto lanes = hn::Lanes(d);
  // Two sums, so that consecutive additions do not wait for each other. kFeatures is a multiple of any pair
  // of vectors.
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  for (std::size_t i = 0; i < kFeatures; i += 2 * lanes) {
    even = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), even);
    odd = hn::MulAdd(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), odd);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
}

}  // namespace cx::inference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cx::inference {
HWY_EXPORT(Dot);
float dot(const float* a, const float* b) {
  return HWY_DYNAMIC_DISPATCH(Dot)(a, b);
}
}  // namespace cx::inference
#endif
