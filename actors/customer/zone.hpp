#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cx::delivery {

/// A time zone of the IANA database that the machine has; UTC by default. A handle: cheap to copy, good for
/// ever, for any thread.
class Zone {
 public:
  Zone() = default;

  /// By its name, "Europe/Berlin"; `found` tells whether the database has it (UTC otherwise). What it has is
  /// read once: names that strangers make up lead to no file and are not remembered.
  static Zone find(std::string_view name, bool& found);
  static bool exists(std::string_view name);

  std::string_view name() const;
  /// Seconds east of UTC at a time, Unix seconds.
  std::int64_t offset(std::int64_t unix_seconds) const;

 private:
  struct Known;
  const Known* known_ = nullptr;  // null: UTC
};

/// What clocks and calendars show at a place at a time. Numbers of days, weeks and so on ascend.
struct LocalTime {
  LocalTime(const Zone& zone, std::int64_t unix_ms);

  std::int64_t seconds;  ///< as if it were UTC, Unix seconds
  std::int64_t hour() const;
  std::int64_t day() const;
  std::int64_t week() const;   ///< from Monday
  std::int64_t month() const;  ///< year * 12 + month - 1
  std::int64_t second_of_day() const;
};

/// "2026-03-01 00:00", of local seconds as LocalTime has them.
std::string minute_text(std::int64_t local_seconds);

}  // namespace cx::delivery
