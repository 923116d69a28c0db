#include "providers/inference/remote/profile.hpp"

#include <algorithm>

namespace cx::inference::remote {
namespace {

using std::chrono::microseconds;

// Batches and latencies are the requirements'; precisions are those that the makers recommend for inference.
constexpr Profile kProfiles[] = {
    {"cpu", 32, microseconds(1000), Precision::fp32},
    {"xdna", 64, microseconds(200), Precision::int8},
    {"groq", 64, microseconds(100), Precision::fp16},
    {"inferentia2", 16, microseconds(80), Precision::bf16},
    {"inferentia3", 32, microseconds(50), Precision::bf16},
    {"ampere", 128, microseconds(200), Precision::fp16},
    {"tenstorrent", 32, microseconds(40), Precision::bf16},
};

}  // namespace

std::span<const Profile> profiles() {
  return kProfiles;
}

const Profile* find_profile(std::string_view name) {
  const auto* found = std::find_if(std::begin(kProfiles), std::end(kProfiles),
                                   [&](const Profile& one) { return one.name == name; });
  return found == std::end(kProfiles) ? nullptr : found;
}

}  // namespace cx::inference::remote
