#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/liquid/value.hpp"

namespace cx::liquid {

/// A time as somebody reads it off a clock.
struct Moment {
  std::int64_t seconds = 0;  ///< Unix time
  int nanoseconds = 0;
  int offset = 0;    ///< seconds east of UTC
  std::string zone;  ///< "UTC", "EST"; empty: an offset without a name
};

/// What the filter `date` reads: "now", "today", Unix time in digits, and what Time.parse of Ruby does: ISO
/// 8601, RFC 2822, "March 14, 2016", "14 Mar 2016", "14/03/2016", with or without a time and a zone, UTC
/// without. Parts that are missing are of `now` (Unix milliseconds) if they are larger than those given, else
/// the first possible. Nullopt: not a time.
std::optional<Moment> parse_moment(std::string_view text, std::int64_t now);

/// strftime of Ruby: all its directives, flags and widths. False: a width over 1000, or the work is spent.
bool append_moment(std::string& out, std::string_view format, const Moment& moment, Work& work);

/// Days since 1970-01-01, of the proleptic Gregorian calendar; months and days may lie outside their year.
std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day);

}  // namespace cx::liquid
