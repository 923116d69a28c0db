#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cx::condition {

/// A moment of UTC, exact to the nanosecond.
struct Instant {
  std::int64_t seconds = 0;  ///< since 1970
  std::int32_t nanos = 0;    ///< 0 to 999,999,999
  auto operator<=>(const Instant&) const = default;

  static Instant of_ms(std::int64_t unix_ms);
  std::int64_t unix_ms() const;  ///< rounded down
};

/// RFC 3339: "2026-03-01T09:30:00Z", "2026-03-01t16:30:00.25+07:00". Of the years 1 to 9999; digits of a
/// fraction beyond nine are ignored; a leap second is the first of the next minute. None for anything else, a
/// date alone included.
std::optional<Instant> parse_time(std::string_view text);

/// In UTC with milliseconds where there are any: "2026-03-01T09:30:00Z".
std::string time_text(std::int64_t unix_ms);

}  // namespace cx::condition
