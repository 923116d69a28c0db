#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/customer/zone.hpp"
#include "cx/v1/delivery.pb.h"
#include "runtime/error.hpp"

namespace cx::delivery {

/// What is wrong with a policy, for the catalog: invalid_argument "invalid-policy". Pure, but for the zones
/// that the machine knows.
std::optional<Error> check_policy(const v1::DeliveryPolicy& policy);

/// A time of the day at which messages wait, or are refused: from `start` until before `end`, minutes since
/// midnight, past midnight where `end` is the smaller one. They are never equal.
struct QuietTime {
  std::uint32_t channels;  ///< bit n: channel n
  int start, end;
  bool refuse;
};

/// A revision of a tenant's delivery policy, ready for the gate. Immutable; thread-safe.
struct Policy {
  std::vector<v1::MessageCap> caps;
  std::vector<QuietTime> quiet;
  std::optional<Zone> zone;  ///< of customers whose own is not known
};
using PolicyPtr = std::shared_ptr<const Policy>;
Result<PolicyPtr> compile_policy(const v1::DeliveryPolicy& policy);

/// Delivery policies of tenants. Thread-safe, lock-free, never blocks.
class Policies {
 public:
  virtual ~Policies() = default;
  /// The newest revision; 0 when the tenant has none.
  virtual std::uint64_t current(std::string_view tenant) const = 0;
  /// Null when it is not known (yet), and for 0.
  virtual PolicyPtr find(std::string_view tenant, std::uint64_t revision) const = 0;
};

}  // namespace cx::delivery
