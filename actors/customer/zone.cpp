#include "actors/customer/zone.hpp"

#include <absl/time/time.h>
#include <chrono>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <mutex>

namespace cx::delivery {
namespace {

constexpr std::int64_t kHour = 3'600, kDay = 24 * kHour;

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

std::chrono::year_month_day date_of(std::int64_t day) {
  return std::chrono::sys_days(std::chrono::days(day));
}

}  // namespace

// Absl reads a zone's file when it is first asked for, remembers every name that it was ever asked for, takes
// paths for names, and locks. So it is asked once for each name that the database lists, and for no other.
struct Zone::Known {
  std::string_view name;
  mutable std::once_flag once;
  mutable absl::TimeZone zone;
  mutable bool loaded = false;

  using Names = std::map<std::string, Known, std::less<>>;
  static const Names& all() {
    static const Names names = read();
    return names;
  }

 private:
  // In the database's compact source a zone is "Z NAME ...", and a link "L TARGET NAME".
  static Names read() {
    Names names;
    const char* directory = std::getenv("TZDIR");
    std::ifstream in(std::string(directory != nullptr ? directory : "/usr/share/zoneinfo") + "/tzdata.zi");
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with("Z ") && !line.starts_with("L ")) continue;
      const auto begin = line[0] == 'Z' ? 2 : line.find(' ', 2) + 1;
      names[line.substr(begin, line.find(' ', begin) - begin)];
    }
    names["UTC"];
    for (auto& [name, known] : names) known.name = name;
    return names;
  }
};

Zone Zone::find(std::string_view name, bool& found) {
  Zone out;
  const auto& all = Known::all();
  const auto at = all.find(name);
  found = at != all.end();
  if (!found) return out;
  const auto& known = at->second;
  std::call_once(known.once,
                 [&known] { known.loaded = absl::LoadTimeZone(std::string(known.name), &known.zone); });
  found = known.loaded;
  if (found) out.known_ = &known;
  return out;
}

bool Zone::exists(std::string_view name) {
  bool found = false;
  (void)find(name, found);
  return found;
}

std::string_view Zone::name() const {
  return known_ != nullptr ? known_->name : "UTC";
}

std::int64_t Zone::offset(std::int64_t unix_seconds) const {
  return known_ == nullptr ? 0 : known_->zone.At(absl::FromUnixSeconds(unix_seconds)).offset;
}

LocalTime::LocalTime(const Zone& zone, std::int64_t unix_ms) : seconds(floor_div(unix_ms, 1'000)) {
  seconds += zone.offset(seconds);
}

std::int64_t LocalTime::hour() const {
  return floor_div(seconds, kHour);
}
std::int64_t LocalTime::day() const {
  return floor_div(seconds, kDay);
}
std::int64_t LocalTime::week() const {
  return floor_div(day() + 3, 7);  // 1 January 1970 was a Thursday
}
std::int64_t LocalTime::month() const {
  const auto date = date_of(day());
  return int{date.year()} * 12LL + unsigned{date.month()} - 1;
}
std::int64_t LocalTime::second_of_day() const {
  return seconds - day() * kDay;
}

std::string minute_text(std::int64_t local_seconds) {
  const auto day = floor_div(local_seconds, kDay);
  const auto date = date_of(day);
  const auto minute = (local_seconds - day * kDay) / 60;
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", int{date.year()}, unsigned{date.month()},
                     unsigned{date.day()}, minute / 60, minute % 60);
}

}  // namespace cx::delivery
