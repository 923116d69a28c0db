#pragma once

#include <cstdint>
#include <string_view>

#include "cx/v1/customer.pb.h"

namespace cx {

/// The demo tenant's profiles: a function of seed and address alone, so that everybody has interests,
/// segments and a loyalty account without a data set. Interests mix two of eight archetypes; a person is in 2
/// to 6 of 64 segments.
v1::Profile demo_profile(std::uint64_t seed, std::string_view address);

}  // namespace cx
