#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "cx/v1/customer.pb.h"
#include "runtime/entity.hpp"

namespace cx {

/// The customer entity, as its pure core: what one person is to a tenant. A shard's region serialises the
/// commands of one customer, so check-and-reserve is exact without a lock.
struct Customer {
  using State = v1::CustomerState;
  using Event = v1::CustomerEvent;
  using Commands = std::tuple<v1::ReserveImpressions, v1::ReleaseImpressions>;

  /// Gives a customer never seen before a profile; pure.
  using Profiles = v1::Profile (*)(std::uint64_t seed, std::string_view address);
  Profiles profiles;
  std::uint64_t seed;

  State wake(std::string_view address, const std::string* memory) const;
  static std::optional<Memory> sleep(const State& state, std::int64_t now);

  static Outcome<Event, v1::ImpressionsGranted> handle(const State& state,
                                                       const v1::ReserveImpressions& command,
                                                       const Context& context);
  static Outcome<Event, NoReply> handle(const State& state, const v1::ReleaseImpressions& command,
                                        const Context& context);
  static void apply(State& state, const Event& event);
};

/// How many more impressions `cap` allows at `now` (Unix milliseconds): sliding windows of 60 minutes and 24
/// hours, each (now - window, now].
std::uint32_t cap_room(const v1::CustomerState& state, const v1::FrequencyCap& cap, std::int64_t now);

}  // namespace cx
