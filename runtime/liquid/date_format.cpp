#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

#include "runtime/liquid/date.hpp"

namespace cx::liquid {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};
constexpr int kMaxWidth = 1000;

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}
std::int64_t floor_mod(std::int64_t a, std::int64_t b) {
  return a % b + (a % b < 0 ? b : 0);
}

struct Calendar {
  std::int64_t year = 1970;
  int month = 1, day = 1, hour = 0, minute = 0, second = 0;
  int week_day = 4;  // from Sunday = 0
  int year_day = 0;  // from 0

  // The ISO 8601 week and its year.
  std::int64_t week_year = 0;
  int week = 1;
};

bool is_leap(std::int64_t year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// H. Hinnant's civil_from_days, http://howardhinnant.github.io/date_algorithms.html
Calendar calendar_of(const Moment& moment) {
  Calendar at;
  std::int64_t local = 0;
  if (__builtin_add_overflow(moment.seconds, moment.offset, &local)) local = moment.seconds;
  const auto days = floor_div(local, 86400);
  const auto seconds = static_cast<int>(floor_mod(local, 86400));
  at.hour = seconds / 3600, at.minute = seconds / 60 % 60, at.second = seconds % 60;
  const auto z = days + 719468;
  const auto era = floor_div(z, 146097);
  const auto day_of_era = z - era * 146097;
  const auto year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const auto day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const auto month = (5 * day_of_year + 2) / 153;
  at.day = static_cast<int>(day_of_year - (153 * month + 2) / 5 + 1);
  at.month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  at.year = year_of_era + era * 400 + (at.month <= 2 ? 1 : 0);
  at.week_day = static_cast<int>(floor_mod(days + 4, 7));
  at.year_day = static_cast<int>(days - days_of(at.year, 1, 1));
  const int from_monday = (at.week_day + 6) % 7;
  at.week_year = at.year;
  at.week = (at.year_day - from_monday + 10) / 7;
  const auto weeks_in = [](std::int64_t year) {
    const auto first = floor_mod(days_of(year, 1, 1) + 4, 7);
    return first == 4 || (first == 3 && is_leap(year)) ? 53 : 52;
  };
  if (at.week < 1) at.week = weeks_in(--at.week_year);
  if (at.week > weeks_in(at.week_year)) at.week = 1, ++at.week_year;
  return at;
}

// One directive: %[flags][width][:]letter.
struct Directive {
  char pad = 0;  // '-', '_', '0'; 0: as usual
  bool upper = false;
  bool swap = false;
  int width = -1;
  int colons = 0;
};

class Formatter {
 public:
  Formatter(const Moment& moment, Work& work) : moment_(moment), at_(calendar_of(moment)), work_(work) {}

  bool format(std::string& out, std::string_view format) {
    for (std::size_t i = 0; i < format.size(); ++i) {
      if (!work_.bytes(1)) return false;
      if (format[i] != '%') {
        out += format[i];
        continue;
      }
      const auto begin = i;
      Directive directive;
      if (!read(directive, format, ++i)) return false;
      const auto before = out.size();
      if (i >= format.size() || !apply(out, directive, format[i])) {
        i = std::min(i, format.size() - 1);
        out += format.substr(begin, i - begin + 1);
      }
      if (!work_.bytes(out.size() - before)) return false;
    }
    return true;
  }

 private:
  static bool read(Directive& directive, std::string_view format, std::size_t& i) {
    for (; i < format.size(); ++i) {
      const char c = format[i];
      if (c == '-' || c == '_' || (c == '0' && directive.width < 0)) {
        directive.pad = c;
      } else if (c == '^') {
        directive.upper = true;
      } else if (c == '#') {
        directive.swap = true;
      } else if (c == ':') {
        ++directive.colons;
      } else if (c >= '0' && c <= '9') {
        directive.width = std::max(directive.width, 0) * 10 + (c - '0');
        if (directive.width > kMaxWidth) return false;
      } else if (c != 'E' && c != 'O') {
        break;
      }
    }
    return true;
  }

  static void number(std::string& out, const Directive& directive, std::int64_t value, int width,
                     char usual = '0') {
    const char pad = directive.pad == '_' ? ' ' : directive.pad == '0' ? '0' : usual;
    if (directive.width >= 0) width = directive.width;
    if (directive.pad == '-') width = 0;
    auto digits = std::to_string(value);
    const bool negative = digits[0] == '-';
    if (negative && pad == '0') digits.erase(0, 1), out += '-', --width;
    if (static_cast<int>(digits.size()) < width)
      out.append(static_cast<std::size_t>(width) - digits.size(), pad);
    out += digits;
  }

  static void text(std::string& out, const Directive& directive, std::string_view value) {
    std::string word(value);
    if (directive.upper || directive.swap)
      for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const auto width = static_cast<std::size_t>(std::max(directive.width, 0));
    if (word.size() < width && directive.pad != '-')
      out.append(width - word.size(), directive.pad == '0' ? '0' : ' ');
    out += word;
  }

  void composed(std::string& out, const Directive& directive, std::string_view format) {
    std::string word;
    this->format(word, format);
    text(out, directive, word);
  }

  void fraction(std::string& out, const Directive& directive, int digits) {
    if (directive.width > 0) digits = directive.width;
    auto all = std::to_string(1'000'000'000 + moment_.nanoseconds).substr(1);
    all.resize(static_cast<std::size_t>(digits), '0');
    out += all;
  }

  void zone(std::string& out, const Directive& directive) {
    const int distance = std::abs(moment_.offset);
    const auto two = [](int n) {
      return std::string(1, static_cast<char>('0' + n / 10)) + static_cast<char>('0' + n % 10);
    };
    std::string rest = two(distance / 60 % 60);
    if (directive.colons > 0) rest.insert(0, ":");
    if (directive.colons > 1) rest += ":" + two(distance % 60);
    auto hours = two(distance / 3600);
    const auto width = static_cast<std::size_t>(std::max(directive.width, 0));
    const auto fill = width > 1 + hours.size() + rest.size() ? width - 1 - hours.size() - rest.size() : 0;
    const char sign = moment_.offset < 0 ? '-' : '+';
    if (directive.pad == '_' && hours[0] == '0') {
      out.append(fill + 1, ' ') += sign;
      out += hours[1];
    } else {
      if (directive.pad == '-' && hours[0] == '0') hours.erase(0, 1);
      out += sign;
      out.append(directive.pad == '-' ? 0 : fill, '0') += hours;
    }
    out += rest;
  }

  bool apply(std::string& out, const Directive& d, char letter) {
    const auto& at = at_;
    const int hour12 = at.hour % 12 == 0 ? 12 : at.hour % 12;
    const auto month = kMonths[static_cast<std::size_t>(at.month - 1)];
    const auto day = kDays[static_cast<std::size_t>(at.week_day)];
    if (d.colons > 0 && letter != 'z') return false;
    switch (letter) {
      case 'Y':
        number(out, d, at.year, at.year < 0 ? 5 : 4);
        break;
      case 'C':
        number(out, d, floor_div(at.year, 100), 2);
        break;
      case 'y':
        number(out, d, floor_mod(at.year, 100), 2);
        break;
      case 'm':
        number(out, d, at.month, 2);
        break;
      case 'B':
        text(out, d, month);
        break;
      case 'b':
      case 'h':
        text(out, d, month.substr(0, 3));
        break;
      case 'd':
        number(out, d, at.day, 2);
        break;
      case 'e':
        number(out, d, at.day, 2, ' ');
        break;
      case 'j':
        number(out, d, at.year_day + 1, 3);
        break;
      case 'H':
        number(out, d, at.hour, 2);
        break;
      case 'k':
        number(out, d, at.hour, 2, ' ');
        break;
      case 'I':
        number(out, d, hour12, 2);
        break;
      case 'l':
        number(out, d, hour12, 2, ' ');
        break;
      case 'M':
        number(out, d, at.minute, 2);
        break;
      case 'S':
        number(out, d, at.second, 2);
        break;
      case 'L':
        fraction(out, d, 3);
        break;
      case 'N':
        fraction(out, d, 9);
        break;
      case 's':
        number(out, d, moment_.seconds, 1);
        break;
      case 'P':
        text(out, d, at.hour < 12 ? "am" : "pm");
        break;
      case 'p':
        text(out, {d.pad, d.upper, false, d.width, 0},
             d.swap ? (at.hour < 12 ? "am" : "pm") : (at.hour < 12 ? "AM" : "PM"));
        break;
      case 'A':
        text(out, d, day);
        break;
      case 'a':
        text(out, d, day.substr(0, 3));
        break;
      case 'u':
        number(out, d, at.week_day == 0 ? 7 : at.week_day, 1);
        break;
      case 'w':
        number(out, d, at.week_day, 1);
        break;
      case 'G':
        number(out, d, at.week_year, at.week_year < 0 ? 5 : 4);
        break;
      case 'g':
        number(out, d, floor_mod(at.week_year, 100), 2);
        break;
      case 'V':
        number(out, d, at.week, 2);
        break;
      case 'U':
        number(out, d, (at.year_day + 7 - at.week_day) / 7, 2);
        break;
      case 'W':
        number(out, d, (at.year_day + 7 - (at.week_day + 6) % 7) / 7, 2);
        break;
      case 'z':
        zone(out, d);
        break;
      case 'Z':
        text(out, d, moment_.zone);
        break;
      case 'c':
        composed(out, d, "%a %b %e %H:%M:%S %Y");
        break;
      case 'D':
      case 'x':
        composed(out, d, "%m/%d/%y");
        break;
      case 'F':
        composed(out, d, "%Y-%m-%d");
        break;
      case 'T':
      case 'X':
        composed(out, d, "%H:%M:%S");
        break;
      case 'R':
        composed(out, d, "%H:%M");
        break;
      case 'r':
        composed(out, d, "%I:%M:%S %p");
        break;
      case 'v':
        composed(out, d, "%e-%^b-%Y");
        break;
      case '+':
        composed(out, d, "%a %b %e %H:%M:%S %Z %Y");
        break;
      case 'n':
        text(out, d, "\n");
        break;
      case 't':
        text(out, d, "\t");
        break;
      case '%':
        text(out, d, "%");
        break;
      default:
        return false;
    }
    return true;
  }

  const Moment& moment_;
  Calendar at_;
  Work& work_;
};

}  // namespace

std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day) {
  year += floor_div(month - 1, 12);
  month = floor_mod(month - 1, 12) + 1;
  if (month <= 2) --year;
  const auto era = floor_div(year, 400);
  const auto year_of_era = year - era * 400;
  const auto day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

bool append_moment(std::string& out, std::string_view format, const Moment& moment, Work& work) {
  return Formatter(moment, work).format(out, format);
}

}  // namespace cx::liquid
