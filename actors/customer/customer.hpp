#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "cx/v1/customer.pb.h"
#include "runtime/entity/kind.hpp"

namespace cx {

/// The customer entity, as its pure core: what one person is to a tenant. A shard's region serialises the
/// commands of one customer, so check-and-reserve is exact without a lock.
struct Customer {
  static constexpr std::string_view kName = "customer";
  static constexpr std::uint32_t kSchema = 1;
  using State = v1::CustomerState;
  using Event = v1::CustomerEvent;
  using Commands = std::tuple<v1::ReserveImpressions, v1::ReleaseImpressions>;

  /// Gives a customer never seen before a profile; pure.
  using Profiles = v1::Profile (*)(std::uint64_t seed, std::string_view address);
  Profiles profiles;
  std::uint64_t seed;

  State initial(std::string_view address) const;

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
