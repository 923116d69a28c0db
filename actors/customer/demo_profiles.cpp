#include "actors/customer/demo_profiles.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <xxhash.h>

#include "runtime/random.hpp"

namespace cx {
namespace {

constexpr int kInterests = 64;
constexpr int kArchetypes = 8;

double archetype(std::uint64_t seed, int which, int dimension) {
  return Random(seed ^ (static_cast<std::uint64_t>(which) << 32) ^ static_cast<std::uint64_t>(dimension))
                 .uniform() *
             2 -
         1;
}

}  // namespace

v1::Profile demo_profile(std::uint64_t seed, std::string_view address) {
  Random random(XXH64(address.data(), address.size(), seed));
  v1::Profile profile;

  std::string interests(kInterests, '\0');
  const auto first = static_cast<int>(random.below(kArchetypes));
  const auto second = static_cast<int>(random.below(kArchetypes));
  const double share = random.uniform();
  for (int i = 0; i < kInterests; ++i) {
    const double mixed = share * archetype(seed, first, i) + (1 - share) * archetype(seed, second, i);
    const double value = std::clamp(mixed + 0.2 * (random.uniform() - 0.5), -1.0, 1.0);
    interests[static_cast<std::size_t>(i)] = static_cast<char>(std::lround(value * 127));
  }
  profile.set_interests(std::move(interests));

  std::set<std::uint32_t> segments;
  for (auto n = 2 + random.below(5); n > 0; --n) segments.insert(random.below(64));
  for (const auto segment : segments) profile.add_segments(segment);

  auto& loyalty = *profile.mutable_loyalty();
  const auto draw = random.uniform();
  loyalty.set_tier(draw < 0.5    ? v1::LOYALTY_TIER_BASIC
                   : draw < 0.8  ? v1::LOYALTY_TIER_SILVER
                   : draw < 0.95 ? v1::LOYALTY_TIER_GOLD
                                 : v1::LOYALTY_TIER_RESERVE);
  constexpr std::uint32_t kQualifying[][2] = {{0, 1}, {0, 500}, {500, 2500}, {2500, 10000}};
  const auto& [low, high] = kQualifying[loyalty.tier()];
  loyalty.set_qualifying(low + random.below(high - low));
  loyalty.set_balance(loyalty.qualifying() / 2);
  loyalty.set_earn_rate_percent(loyalty.tier() == v1::LOYALTY_TIER_BASIC ? 0 : 100);
  return profile;
}

}  // namespace cx
