#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// A column network of spiking neurons, as inference runs it: exact integer arithmetic, so that every
/// implementation gives the same bits. A column stands for one offer and has kMicro microcolumns, each a
/// leaky integrate-and-fire neuron; they see the same inputs for kTicks ticks, inhibit each other, and the
/// column's read-out weighs what they fired. In tick t and microcolumn m, with potential u[m] (0 at first),
/// s[m] = whether it fired in the tick before and S = sum of s:
///
///     u -= u >> 2
///     u += bias[m] + sum of row(j)[m] over the inputs j that fire in t
///     u -= inhibition * (S - s[m])
///     u is clamped to [-32768, 32767]
///     if u >= kThreshold: it fires, count[m]++ and u -= kThreshold
///
///     z = offset + sum of gain[m] * (count[m] * kThreshold + u[m])
namespace cx::inference::colanet {

inline constexpr std::uint32_t kMicro = 16;
inline constexpr std::uint32_t kTicks = 8;
inline constexpr std::int32_t kThreshold = 1024;
/// Largest magnitude of a weight and of a bias: 32 of them add up in 16 bits.
inline constexpr std::int32_t kMaxWeight = 1023;
inline constexpr std::size_t kMaxInputs = 65'535;
/// Bytes at which a block of columns must be aligned.
inline constexpr std::size_t kAlignment = 64;

/// Inputs that fire, by tick, in ascending order.
struct Events {
  /// Those that fire in every tick.
  std::vector<std::uint16_t> always;
  /// The others that fire in tick t.
  std::array<std::vector<std::uint16_t>, kTicks> at;
};

/// The ticks in which an input of this value fires, tick 0 as bit 0, of `ticks` at most 32: spikes at a rate
/// of value, spread evenly. 1 fires in every tick, 0.5 in every other one, 0 never; values count in 256ths,
/// rounded; others are clamped to [0, 1], NaN is 0.
std::uint32_t spikes(float value, std::uint32_t ticks);

/// The spikes of all inputs. At most kMaxInputs inputs: those past them are ignored. Reuses the memory of
/// `events`.
void encode(std::span<const float> inputs, Events& events);

/// One column: kMicro biases, kMicro gains, then for each input a row of kMicro weights; aligned at
/// kAlignment.
struct Column {
  const std::int16_t* data;
  std::int64_t offset;

  const std::int16_t* bias() const { return data; }
  const std::int16_t* gain() const { return data + kMicro; }
  const std::int16_t* row(std::size_t input) const { return data + (input + 2) * kMicro; }
};

/// Numbers of 16 bits in a column of so many inputs, rounded up so that the next column is aligned, too.
constexpr std::size_t column_size(std::uint32_t inputs) {
  constexpr auto kLine = kAlignment / sizeof(std::int16_t);
  return ((std::size_t{inputs} + 2) * kMicro + kLine - 1) / kLine * kLine;
}

/// Columns one after the other, column_size(inputs) numbers each. Does not own them.
struct Columns {
  std::uint32_t inputs = 0;
  std::uint32_t count = 0;
  std::int16_t inhibition = 0;
  std::span<const std::int16_t> block;    // count * column_size(inputs)
  std::span<const std::int64_t> offsets;  // count

  /// `index` < count.
  Column column(std::uint32_t index) const {
    return {block.data() + index * column_size(inputs), offsets[index]};
  }
};

/// The logit that a read-out stands for.
inline double logit(std::int64_t z) {
  return static_cast<double>(z) * 0x1p-24;
}

/// The read-out z of one column, plainly: what every kernel must equal. The inputs in `events` have a row in
/// it.
std::int64_t read_out(const Events& events, const Column& column, std::int16_t inhibition);

}  // namespace cx::inference::colanet
