#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "providers/inference/colanet/network.hpp"

namespace cx::inference::colanet {

/// The read-outs z of the columns `which`, into as many of `out`: by the best instruction set of this CPU,
/// bit for bit what the plain read_out says. Each of `which` < columns.count, in any order, twice if need be;
/// the inputs in `events` < columns.inputs. Several at once are cheaper than one at a time: their sums
/// interleave, and what comes next is fetched meanwhile.
void read_out(const Events& events, const Columns& columns, std::span<const std::uint32_t> which,
              std::span<std::int64_t> out);

/// What read_out does, compiled for one instruction set.
struct Kernel {
  const char* name;  // Highway's, such as "AVX2"
  void (*read_out)(const Events&, const Columns&, std::span<const std::uint32_t>, std::span<std::int64_t>);
};

/// The kernels that this CPU can run; the first is the one that read_out takes. For tests and benchmarks.
std::vector<Kernel> kernels();

}  // namespace cx::inference::colanet
