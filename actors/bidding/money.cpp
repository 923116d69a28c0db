#include "actors/bidding/money.hpp"

#include <fmt/format.h>
#include <limits>

namespace cx::bidding {
namespace {

constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kTooMuch = 1'000'000'000 * kMillion;

__extension__ using Wide = __int128;

std::int64_t saturate(Wide value) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  return value > kMax ? kMax : static_cast<std::int64_t>(value);
}

}  // namespace

Result<std::int64_t> parse_rate(std::string_view text) {
  const Error wrong{
      Code::invalid_argument, "invalid-configuration",
      fmt::format(
          "'{}' is not an exchange rate; write a decimal above 0 with at most six decimals, such as 0.92.",
          text),
      ""};
  std::int64_t micros = 0;
  int decimals = -1;  // none yet
  for (const char c : text) {
    if (c == '.' && decimals < 0) {
      decimals = 0;
    } else if (c >= '0' && c <= '9' && decimals < 6 && micros < kTooMuch) {
      micros = micros * 10 + (c - '0');
      if (decimals >= 0) ++decimals;
    } else {
      return wrong;
    }
  }
  for (int i = decimals < 0 ? 0 : decimals; i < 6 && micros < kTooMuch; ++i) micros *= 10;
  if (micros <= 0 || micros >= kTooMuch) return wrong;
  return micros;
}

Result<Currencies> Currencies::from(const std::map<std::string, std::string>& per_dollar) {
  Currencies out;
  for (const auto& [code, text] : per_dollar) {
    const auto rate = parse_rate(text);
    if (!rate)
      return Error{Code::invalid_argument, "invalid-configuration",
                   "bidding.currencies." + code + ": " + rate.error().detail, ""};
    if (code == "USD" && *rate != kMillion)
      return Error{Code::invalid_argument, "invalid-configuration",
                   "bidding.currencies.USD must be 1: rates are for one US dollar.", ""};
    out.rates_[code] = *rate;
  }
  out.rates_["USD"] = kMillion;
  return out;
}

std::optional<std::int64_t> Currencies::rate(std::string_view currency) const {
  const auto found = rates_.find(currency);
  return found == rates_.end() ? std::nullopt : std::optional(found->second);
}

std::int64_t convert_up(std::int64_t micros, std::int64_t from, std::int64_t to) {
  return saturate((Wide{micros} * to + from - 1) / from);
}

std::int64_t convert_down(std::int64_t micros, std::int64_t from, std::int64_t to) {
  return saturate(Wide{micros} * to / from);
}

}  // namespace cx::bidding
