#include "actors/condition/time.hpp"

#include <chrono>

namespace cx::condition {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Takes digits and signs off the front of a text.
struct Reader {
  std::string_view text;

  bool number(std::size_t digits, int& out) {
    if (text.size() < digits) return false;
    out = 0;
    for (const char c : text.substr(0, digits)) {
      if (!is_digit(c)) return false;
      out = out * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return true;
  }
  bool one(char a, char b) {
    if (text.empty() || (text.front() != a && text.front() != b)) return false;
    text.remove_prefix(1);
    return true;
  }
  bool one(char c) { return one(c, c); }

  bool fraction(std::int32_t& nanos) {
    std::int32_t worth = 100'000'000;
    std::size_t n = 0;
    for (; n < text.size() && is_digit(text[n]); ++n, worth /= 10) nanos += worth * (text[n] - '0');
    text.remove_prefix(n);
    return n > 0;
  }
  /// Seconds to take off.
  bool offset(std::int64_t& out) {
    if (one('Z', 'z')) return true;
    const bool east = one('+');
    if (!east && !one('-')) return false;
    int hours = 0, minutes = 0;
    if (!number(2, hours) || !one(':') || !number(2, minutes) || hours > 23 || minutes > 59) return false;
    out = (hours * 3600 + minutes * 60) * (east ? 1 : -1);
    return true;
  }
};

void append(std::string& out, int value, int digits) {
  char buffer[8];
  for (int i = digits; i-- > 0; value /= 10) buffer[i] = static_cast<char>('0' + value % 10);
  out.append(buffer, static_cast<std::size_t>(digits));
}

}  // namespace

Instant Instant::of_ms(std::int64_t unix_ms) {
  const auto rest = ((unix_ms % 1000) + 1000) % 1000;
  return {(unix_ms - rest) / 1000, static_cast<std::int32_t>(rest * 1'000'000)};
}

std::int64_t Instant::unix_ms() const {
  return seconds * 1000 + nanos / 1'000'000;
}

std::optional<Instant> parse_time(std::string_view text) {
  Reader in{text};
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!in.number(4, year) || !in.one('-') || !in.number(2, month) || !in.one('-') || !in.number(2, day) ||
      !in.one('T', 't') || !in.number(2, hour) || !in.one(':') || !in.number(2, minute) || !in.one(':') ||
      !in.number(2, second))
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (year < 1 || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  Instant out;
  if (in.one('.') && !in.fraction(out.nanos)) return std::nullopt;
  std::int64_t offset = 0;
  if (!in.offset(offset) || !in.text.empty()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  out.seconds = days * 86'400 + hour * 3600 + minute * 60 + second - offset;
  return out;
}

std::string time_text(std::int64_t unix_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds(unix_ms)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const auto of_day = static_cast<int>((time - day).count());
  std::string out;
  append(out, static_cast<int>(date.year()), 4);
  append(out += '-', static_cast<int>(static_cast<unsigned>(date.month())), 2);
  append(out += '-', static_cast<int>(static_cast<unsigned>(date.day())), 2);
  append(out += 'T', of_day / 3'600'000, 2);
  append(out += ':', of_day / 60'000 % 60, 2);
  append(out += ':', of_day / 1000 % 60, 2);
  if (of_day % 1000 != 0) append(out += '.', of_day % 1000, 3);
  return out += 'Z';
}

}  // namespace cx::condition
