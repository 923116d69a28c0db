#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/error.hpp"

namespace cx::bidding {

/// A decimal such as "0.9215" as millionths; at most six decimals. An error unless it is above 0 and below
/// 10^9.
Result<std::int64_t> parse_rate(std::string_view text);

/// What one US dollar buys of each currency. Money is int64 micros; conversions round as they are told, in
/// 128 bits.
class Currencies {
 public:
  /// `per_dollar`: ISO 4217 code to decimal. USD is added when absent, and must be 1 when present.
  static Result<Currencies> from(const std::map<std::string, std::string>& per_dollar);

  /// Millionths of the currency for one dollar; nothing for a currency that we cannot price.
  std::optional<std::int64_t> rate(std::string_view currency) const;

 private:
  std::map<std::string, std::int64_t, std::less<>> rates_;
};

/// `micros` times `to` divided by `from` (rates per dollar), saturating. Rounded up for what must be reached
/// (a floor), down for what is offered (a price).
std::int64_t convert_up(std::int64_t micros, std::int64_t from, std::int64_t to);
std::int64_t convert_down(std::int64_t micros, std::int64_t from, std::int64_t to);

}  // namespace cx::bidding
