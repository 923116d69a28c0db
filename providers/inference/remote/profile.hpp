#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string_view>

namespace cx::inference::remote {

/// What the hardware multiplies in. Scores differ from those of fp32 by its rounding.
enum class Precision { fp32, fp16, bf16, int8 };

/// What kind of hardware is behind a server, and what it can do (FR-INF's table of backends).
struct Profile {
  std::string_view name;
  std::size_t max_batch;              ///< items of one request
  std::chrono::microseconds latency;  ///< of a batch, typically, without the network
  Precision precision;
};

/// cpu, xdna, groq, inferentia2, inferentia3, ampere, tenstorrent.
std::span<const Profile> profiles();
/// Null for a name that there is not.
const Profile* find_profile(std::string_view name);

}  // namespace cx::inference::remote
