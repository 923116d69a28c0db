#pragma once

#include <cstdint>
#include <hwy/aligned_allocator.h>
#include <span>
#include <vector>

#include "providers/inference/colanet/network.hpp"

namespace cx::bench {

/// A column network the ordinary way, in floats: in every tick each weight is multiplied with its input,
/// spike or not. It says what the integers say, bit for bit, as whole numbers below 2^24 are exact in a
/// float.
class Dense {
 public:
  explicit Dense(const inference::colanet::Columns& columns);

  /// `spikes`: for each input kTicks numbers, 1 where it fires. Reads each weight once, for all ticks: a
  /// product of matrices.
  void read_out(std::span<const float> spikes, std::span<const std::uint32_t> which,
                std::span<std::int64_t> out) const;
  /// The same, a product of matrix and vector in each tick.
  void read_out_by_tick(std::span<const float> spikes, std::span<const std::uint32_t> which,
                        std::span<std::int64_t> out) const;

  std::uint32_t inputs;
  float inhibition;
  /// For each column kMicro biases, then for each input kMicro weights.
  hwy::AlignedFreeUniquePtr<float[]> numbers;
  std::vector<std::int32_t> gains;  // kMicro a column
  std::span<const std::int64_t> offsets;

  const float* column(std::uint32_t index) const {
    return numbers.get() + index * (std::size_t{inputs} + 1) * inference::colanet::kMicro;
  }
};

/// What Dense takes for the inputs that fire.
void expand(const inference::colanet::Events& events, std::uint32_t inputs, std::vector<float>& spikes);

}  // namespace cx::bench
