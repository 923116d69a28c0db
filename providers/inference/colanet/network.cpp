#include "providers/inference/colanet/network.hpp"

#include <algorithm>
#include <cmath>

namespace cx::inference::colanet {
namespace {

constexpr std::uint32_t kOne = 256;  // the value 1, as the encoder counts

using Lanes = std::array<std::int32_t, kMicro>;

void add(Lanes& sum, const std::int16_t* row) {
  for (std::size_t m = 0; m < kMicro; ++m) sum[m] += row[m];
}

}  // namespace

std::uint32_t spikes(float value, std::uint32_t ticks) {
  if (!(value > 0.0F)) return 0;  // NaN, too
  const auto all = ticks < 32 ? (1U << ticks) - 1 : ~0U;
  const auto step = static_cast<std::uint32_t>(std::lround(kOne * std::min(value, 1.0F)));
  if (step == kOne) return all;
  // From half way, so that the number of spikes is the value's rounded to nearest, not down.
  std::uint32_t charge = kOne / 2;
  std::uint32_t fires = 0;
  for (std::uint32_t t = 0; t < ticks; ++t) {
    charge += step;
    if (charge < kOne) continue;
    charge -= kOne;
    fires |= 1U << t;
  }
  return fires;
}

void encode(std::span<const float> inputs, Events& events) {
  events.always.clear();
  for (auto& tick : events.at) tick.clear();
  const auto count = std::min(inputs.size(), kMaxInputs);
  for (std::size_t i = 0; i < count; ++i) {
    const auto fires = spikes(inputs[i], kTicks);
    if (fires == 0) continue;
    const auto input = static_cast<std::uint16_t>(i);
    if (fires == (1U << kTicks) - 1) {
      events.always.push_back(input);
      continue;
    }
    for (std::uint32_t t = 0; t < kTicks; ++t)
      if ((fires >> t & 1) != 0) events.at[t].push_back(input);
  }
}

std::int64_t read_out(const Events& events, const Column& column, std::int16_t inhibition) {
  Lanes constant{};  // what every tick adds
  add(constant, column.bias());
  for (const auto input : events.always) add(constant, column.row(input));

  Lanes u{};
  Lanes fired{};
  Lanes count{};
  std::int32_t firing = 0;
  for (const auto& tick : events.at) {
    auto current = constant;
    for (const auto input : tick) add(current, column.row(input));
    std::int32_t now = 0;
    for (std::size_t m = 0; m < kMicro; ++m) {
      u[m] -= u[m] >> 2;
      u[m] += current[m] - inhibition * (firing - fired[m]);
      u[m] = std::clamp(u[m], -32'768, 32'767);
      fired[m] = u[m] >= kThreshold ? 1 : 0;
      u[m] -= fired[m] * kThreshold;
      count[m] += fired[m];
      now += fired[m];
    }
    firing = now;
  }

  auto z = column.offset;
  for (std::size_t m = 0; m < kMicro; ++m)
    z += std::int64_t{column.gain()[m]} * (count[m] * kThreshold + u[m]);
  return z;
}

}  // namespace cx::inference::colanet
