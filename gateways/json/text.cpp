#include "gateways/json/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>

namespace cx::json {
namespace {

constexpr std::int32_t kNanos = 1'000'000'000;
constexpr std::int64_t kFirstSecond = -62'135'596'800,
                       kLastSecond = 253'402'300'799;  // 0001-01-01, 9999-12-31
constexpr std::int64_t kLongest = 315'576'000'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t count_digits(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_digit(text[end])) ++end;
  return end - at;
}

/// Of a number that no Float holds: whether it is too small, not too large.
bool is_tiny(std::string_view number) {
  const auto e = std::min(number.find_first_of("eE"), number.size());
  const auto mantissa = number.substr(0, e);
  const auto point = std::min(mantissa.find('.'), mantissa.size());
  const auto first = mantissa.find_first_of("123456789");
  if (first == mantissa.npos) return true;
  // Power of ten of the first digit that counts; saturating, as the exponent has any number of digits.
  auto power =
      first < point ? static_cast<std::int64_t>(point - first) : -static_cast<std::int64_t>(first - point);
  if (e < number.size()) {
    auto digits = number.substr(e + 1);
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    std::int64_t exponent = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), exponent).ec != std::errc() ||
        exponent > kLongest)
      exponent = kLongest;
    power += negative ? -exponent : exponent;
  }
  return power < 0;
}

/// Exactly `count` digits at `at`, which moves behind them; -1 where there are others.
int digits(std::string_view text, std::size_t& at, std::size_t count) {
  if (count_digits(text, at) < count) return -1;
  int value = 0;
  for (const std::size_t end = at + count; at < end; ++at) value = value * 10 + (text[at] - '0');
  return value;
}

bool accept(std::string_view text, std::size_t& at, char c) {
  if (at >= text.size() || text[at] != c) return false;
  ++at;
  return true;
}

/// ".123" at `at`, if there is one.
bool read_fraction(std::string_view text, std::size_t& at, std::int32_t& nanos) {
  nanos = 0;
  if (!accept(text, at, '.')) return true;
  const auto count = count_digits(text, at);
  if (count == 0 || count > 9) return false;
  nanos = digits(text, at, count);
  for (auto i = count; i < 9; ++i) nanos *= 10;
  return true;
}

void append_padded(std::string& out, std::int64_t number, int width) {
  std::array<char, 20> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  for (auto have = end - text.data(); have < width; ++have) out += '0';
  out.append(text.data(), end);
}

void append_fraction(std::string& out, std::int32_t nanos) {
  if (nanos == 0) return;
  out += '.';
  if (nanos % 1'000'000 == 0)
    append_padded(out, nanos / 1'000'000, 3);
  else if (nanos % 1'000 == 0)
    append_padded(out, nanos / 1'000, 6);
  else
    append_padded(out, nanos, 9);
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 64;

constexpr auto base64_digits = [] {
  std::array<std::uint8_t, 256> table{};
  for (auto& digit : table) digit = kNoDigit;
  for (std::size_t i = 0; i < kBase64.size(); ++i)
    table[static_cast<unsigned char>(kBase64[i])] = static_cast<std::uint8_t>(i);
  table['-'] = 62;
  table['_'] = 63;
  return table;
}();

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

}  // namespace

bool is_number(std::string_view text) {
  std::size_t at = 0;
  const auto some_digits = [&] {
    const auto count = count_digits(text, at);
    at += count;
    return count > 0;
  };
  accept(text, at, '-');
  if (!accept(text, at, '0') && !some_digits()) return false;
  if (accept(text, at, '.') && !some_digits()) return false;
  if (accept(text, at, 'e') || accept(text, at, 'E')) {
    if (!accept(text, at, '+')) accept(text, at, '-');
    if (!some_digits()) return false;
  }
  return at == text.size();
}

template <class Int>
Read read_integer(std::string_view text, Int& out) {
  if (!is_number(text)) return Read::malformed;
  if (text.find_first_of(".eE") == text.npos) {
    if (text == "-0") text = "0";  // from_chars wants no sign for unsigned
    if (std::is_unsigned_v<Int> && text.front() == '-') return Read::out_of_range;
    const auto failure = std::from_chars(text.data(), text.data() + text.size(), out).ec;
    return failure == std::errc() ? Read::good : Read::out_of_range;
  }
  constexpr double kExact = 9'007'199'254'740'992;  // 2^53: below it a double tells all integers apart
  double number = 0;
  if (const auto read = read_float(text, number); read != Read::good) return read;
  if (number < static_cast<double>(std::numeric_limits<Int>::min()) ||
      number > static_cast<double>(std::numeric_limits<Int>::max()))
    return Read::out_of_range;
  if (number != std::trunc(number) || std::abs(number) >= kExact) return Read::malformed;
  const bool rounded_to_zero =
      number == 0 && text.substr(0, text.find_first_of("eE")).find_first_of("123456789") != text.npos;
  if (rounded_to_zero) return Read::malformed;
  out = static_cast<Int>(number);
  return Read::good;
}

template <class Float>
Read read_float(std::string_view text, Float& out) {
  if (!is_number(text)) return Read::malformed;
  const auto failure = std::from_chars(text.data(), text.data() + text.size(), out).ec;
  if (failure == std::errc()) return std::isfinite(out) ? Read::good : Read::out_of_range;
  if (!is_tiny(text)) return Read::out_of_range;
  out = text.front() == '-' ? Float(-0.0) : Float(0);
  return Read::good;
}

template Read read_integer(std::string_view, std::int32_t&);
template Read read_integer(std::string_view, std::int64_t&);
template Read read_integer(std::string_view, std::uint32_t&);
template Read read_integer(std::string_view, std::uint64_t&);
template Read read_float(std::string_view, float&);
template Read read_float(std::string_view, double&);

bool read_base64(std::string_view text, std::string& out) {
  out.clear();
  const auto end = text.size() - std::min<std::size_t>(2, text.size() - (text.find_last_not_of('=') + 1));
  if (end < text.size() && text.size() % 4 != 0) return false;
  text = text.substr(0, end);
  if (text.size() % 4 == 1) return false;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const auto digit = base64_digits[static_cast<unsigned char>(c)];
    if (digit == kNoDigit) return false;
    bits = (bits << 6 | digit) & 0xffff;
    if ((have += 6) < 8) continue;
    have -= 8;
    out += static_cast<char>(bits >> have & 0xff);
  }
  return (bits & ((1U << have) - 1)) == 0;
}

void append_base64(std::string& out, std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) out += i <= group.size() ? kBase64[bits >> (18 - 6 * i) & 63] : '=';
  }
}

Read read_timestamp(std::string_view text, Seconds& out) {
  namespace chrono = std::chrono;
  std::size_t at = 0;
  const int year = digits(text, at, 4);
  if (year < 0 || !accept(text, at, '-')) return Read::malformed;
  const int month = digits(text, at, 2);
  if (month < 0 || !accept(text, at, '-')) return Read::malformed;
  const int day = digits(text, at, 2);
  if (day < 0 || !accept(text, at, 'T')) return Read::malformed;
  const int hour = digits(text, at, 2);
  if (hour < 0 || !accept(text, at, ':')) return Read::malformed;
  const int minute = digits(text, at, 2);
  if (minute < 0 || !accept(text, at, ':')) return Read::malformed;
  const int second = digits(text, at, 2);
  if (second < 0 || !read_fraction(text, at, out.nanos)) return Read::malformed;
  int offset = 0;  // minutes east of UTC
  if (!accept(text, at, 'Z')) {
    const bool west = accept(text, at, '-');
    if (!west && !accept(text, at, '+')) return Read::malformed;
    const int hours = digits(text, at, 2);
    if (hours < 0 || !accept(text, at, ':')) return Read::malformed;
    const int minutes = digits(text, at, 2);
    if (minutes < 0) return Read::malformed;
    if (hours > 23 || minutes > 59) return Read::out_of_range;
    offset = (hours * 60 + minutes) * (west ? -1 : 1);
  }
  if (at != text.size()) return Read::malformed;
  const chrono::year_month_day date{chrono::year(year), chrono::month(static_cast<unsigned>(month)),
                                    chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return Read::out_of_range;
  const std::int64_t days = chrono::sys_days(date).time_since_epoch().count();
  out.seconds = days * 86'400 + hour * 3'600 + (minute - offset) * 60 + second;
  return out.seconds < kFirstSecond || out.seconds > kLastSecond ? Read::out_of_range : Read::good;
}

bool append_timestamp(std::string& out, Seconds time) {
  namespace chrono = std::chrono;
  if (time.seconds < kFirstSecond || time.seconds > kLastSecond || time.nanos < 0 || time.nanos >= kNanos)
    return false;
  const auto days = chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(time.seconds)));
  const chrono::year_month_day date(days);
  const auto second = time.seconds - days.time_since_epoch().count() * std::int64_t{86'400};
  append_padded(out, static_cast<int>(date.year()), 4);
  append_padded(out += '-', static_cast<unsigned>(date.month()), 2);
  append_padded(out += '-', static_cast<unsigned>(date.day()), 2);
  append_padded(out += 'T', second / 3'600, 2);
  append_padded(out += ':', second / 60 % 60, 2);
  append_padded(out += ':', second % 60, 2);
  append_fraction(out, time.nanos);
  out += 'Z';
  return true;
}

Read read_duration(std::string_view text, Seconds& out) {
  std::size_t at = 0;
  const bool negative = accept(text, at, '-');
  const auto count = count_digits(text, at);
  if (count == 0) return Read::malformed;
  const auto failure = std::from_chars(text.data() + at, text.data() + at + count, out.seconds).ec;
  at += count;
  if (!read_fraction(text, at, out.nanos) || !accept(text, at, 's') || at != text.size())
    return Read::malformed;
  if (failure != std::errc() || out.seconds > kLongest || (out.seconds == kLongest && out.nanos > 0))
    return Read::out_of_range;
  if (negative) out = {-out.seconds, -out.nanos};
  return Read::good;
}

bool append_duration(std::string& out, Seconds duration) {
  const auto [seconds, nanos] = duration;
  if (seconds < -kLongest || seconds > kLongest || nanos <= -kNanos || nanos >= kNanos ||
      (seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0))
    return false;
  if (seconds < 0 || nanos < 0) out += '-';
  append_padded(out, std::abs(seconds), 1);
  append_fraction(out, std::abs(nanos));
  out += 's';
  return true;
}

std::optional<std::string> read_mask_path(std::string_view path) {
  std::string out;
  char before = '.';
  for (const char c : path) {
    const bool letter = is_lower(c) || is_upper(c) || c == '_';
    if (!letter && (before == '.' || (!is_digit(c) && c != '.'))) return std::nullopt;
    if (is_upper(c)) {
      if (before == '.' || before == '_') return std::nullopt;
      out += '_';
      out += static_cast<char>(c - 'A' + 'a');
    } else {
      out += c;
    }
    before = c;
  }
  if (before == '.') return std::nullopt;
  return out;
}

void append_mask_path(std::string& out, std::string_view path) {
  const auto begin = out.size();
  for (std::size_t i = 0; i < path.size(); ++i) {
    const bool next =
        path[i] == '_' && i > 0 && path[i - 1] != '.' && i + 1 < path.size() && is_lower(path[i + 1]);
    out += next ? static_cast<char>(path[++i] - 'a' + 'A') : path[i];
  }
  if (read_mask_path(std::string_view(out).substr(begin)) != path) out.replace(begin, out.npos, path);
}

std::string quote(std::string_view text) {
  constexpr std::size_t kLongestQuote = 40;
  if (text.size() <= kLongestQuote) return '"' + std::string(text) + '"';
  auto end = kLongestQuote;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return '"' + std::string(text.substr(0, end)) + "...\"";
}

}  // namespace cx::json
