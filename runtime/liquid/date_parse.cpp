#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

#include "runtime/liquid/date.hpp"
#include "runtime/liquid/text.hpp"

namespace cx::liquid {
namespace {

// Longer texts are no times.
constexpr std::size_t kLongest = 128;

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Zone {
  std::string_view name;
  int hours;
};
constexpr Zone kZones[] = {{"utc", 0},  {"gmt", 0},  {"z", 0},    {"ut", 0},   {"est", -5}, {"edt", -4},
                           {"cst", -6}, {"cdt", -5}, {"mst", -7}, {"mdt", -6}, {"pst", -8}, {"pdt", -7},
                           {"wet", 0},  {"bst", 1},  {"cet", 1},  {"cest", 2}, {"eet", 2},  {"eest", 3},
                           {"msk", 3},  {"ist", 5},  {"jst", 9}};

// A number, a word or a sign, lower case.
struct Piece {
  enum class Kind { number, word, sign } kind;
  std::string_view text;
};

std::vector<Piece> cut(std::string_view text) {
  std::vector<Piece> pieces;
  const auto kind = [](char c) {
    if (c >= '0' && c <= '9') return Piece::Kind::number;
    return is_word(c) && c != '_' ? Piece::Kind::word : Piece::Kind::sign;
  };
  while (!text.empty()) {
    if (is_space(text[0])) {
      text.remove_prefix(1);
      continue;
    }
    const auto first = kind(text[0]);
    std::size_t n = 1;
    while (first != Piece::Kind::sign && n < text.size() && kind(text[n]) == first) ++n;
    pieces.push_back({first, text.substr(0, n)});
    text.remove_prefix(n);
  }
  return pieces;
}

struct Fields {
  std::optional<std::int64_t> year, month, day, hour, minute, second;
  int nanoseconds = 0;
  std::optional<int> offset;
  std::string zone;
};

// What of the pieces is used up step by step: the time and its zone first, then the day.
class Reader {
 public:
  explicit Reader(std::string_view text) : pieces_(cut(text)) {}

  std::optional<Fields> read() {
    drop_week_day();
    read_compact();
    read_time();
    if (!fields_.year && !fields_.month) read_day();
    if (!fields_.year && !fields_.month && !fields_.day && !fields_.hour) return std::nullopt;
    return fields_;
  }

 private:
  using Kind = Piece::Kind;

  bool is(std::size_t i, Kind kind) const { return i < pieces_.size() && pieces_[i].kind == kind; }
  bool is(std::size_t i, std::string_view text) const {
    return i < pieces_.size() && pieces_[i].text == text;
  }
  std::string_view text(std::size_t i) const { return pieces_[i].text; }

  static std::int64_t value(std::string_view digits) {
    std::int64_t number = -1;  // stays so when it does not fit, and is out of every range
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return number;
  }
  std::int64_t value(std::size_t i) const { return value(text(i)); }

  // From 1; 0: not the name of a month.
  int month(std::size_t i) const {
    if (!is(i, Kind::word)) return 0;
    const auto at = std::find(kMonths.begin(), kMonths.end(), text(i).substr(0, 3));
    return at == kMonths.end() ? 0 : static_cast<int>(at - kMonths.begin()) + 1;
  }

  void drop(std::size_t from, std::size_t to) {
    pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(from),
                  pieces_.begin() + static_cast<std::ptrdiff_t>(to));
  }

  void drop_week_day() {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (!is(i, Kind::word) || std::find(kDays.begin(), kDays.end(), text(i).substr(0, 3)) == kDays.end())
        continue;
      return drop(i, is(i + 1, ",") ? i + 2 : i + 1);
    }
  }

  // 20160314, 20160314T101112, 20160314101112
  void read_compact() {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (!is(i, Kind::number)) continue;
      auto digits = text(i);
      const auto n = digits.size();
      if (n != 8 && n != 10 && n != 12 && n != 14) continue;
      std::size_t end = i + 1;
      fields_.year = value(digits.substr(0, 4));
      fields_.month = value(digits.substr(4, 2));
      fields_.day = value(digits.substr(6, 2));
      auto time = digits.substr(8);
      if (time.empty() && is(end, "t") && is(end + 1, Kind::number) &&
          (text(end + 1).size() == 4 || text(end + 1).size() == 6)) {
        time = text(end + 1);
        end += 2;
      }
      if (!time.empty()) fields_.hour = value(time.substr(0, 2));
      if (time.size() > 2) fields_.minute = value(time.substr(2, 2));
      if (time.size() > 4) fields_.second = value(time.substr(4, 2));
      if (!time.empty()) end = read_zone(end);
      return drop(i, end);
    }
  }

  // 10:11, 10:11:12.5, 10pm, 10:11 p.m., and the zone behind it
  void read_time() {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (!is(i, Kind::number) || text(i).size() > 2) continue;
      std::size_t end = i + 1;
      if (is(end, ":") && is(end + 1, Kind::number)) {
        fields_.minute = value(end + 1);
        end += 2;
        if (is(end, ":") && is(end + 1, Kind::number)) {
          fields_.second = value(end + 1);
          end += 2;
          if ((is(end, ".") || is(end, ",")) && is(end + 1, Kind::number)) {
            std::string digits(text(end + 1));
            digits.resize(9, '0');
            fields_.nanoseconds = static_cast<int>(value(std::string_view(digits)));
            end += 2;
          }
        }
      } else if (half(end) < 0) {
        continue;
      }
      fields_.hour = value(i);
      if (const int later = half(end); later >= 0) {
        if (*fields_.hour > 12) fields_.hour = -1;
        fields_.hour = *fields_.hour % 12 + later;
        end += text(end).size() == 2 ? 1 : is(end + 3, ".") ? 4 : 3;
      }
      end = read_zone(end);
      if (i > 0 && is(i - 1, "t")) --i;
      return drop(i, end);
    }
  }

  // The hours that "am" (0) or "pm" (12) adds; -1: neither.
  int half(std::size_t i) const {
    if (is(i, "am") || is(i, "pm")) return text(i) == "pm" ? 12 : 0;
    if ((is(i, "a") || is(i, "p")) && is(i + 1, ".") && is(i + 2, "m")) return text(i) == "p" ? 12 : 0;
    return -1;
  }

  std::size_t read_zone(std::size_t i) {
    if (is(i, Kind::word)) {
      const auto* zone = std::find_if(std::begin(kZones), std::end(kZones),
                                      [&](const Zone& z) { return z.name == text(i); });
      if (zone == std::end(kZones)) return i;
      fields_.offset = zone->hours * 3600 + (zone->name == "ist" ? 1800 : 0);
      fields_.zone = zone->name == "z" || zone->name == "gmt" || zone->name == "ut" ? "utc" : zone->name;
      for (char& c : fields_.zone) c = static_cast<char>(c - 32);
      ++i;
      if (zone->hours != 0) return i;
    }
    if ((!is(i, "+") && !is(i, "-")) || !is(i + 1, Kind::number) || text(i + 1).size() > 4) return i;
    const auto digits = text(i + 1);
    std::int64_t hours = value(i + 1);
    std::int64_t minutes = 0;
    std::size_t end = i + 2;
    if (digits.size() > 2) {
      minutes = hours % 100;
      hours /= 100;
    } else if (is(end, ":") && is(end + 1, Kind::number)) {
      minutes = value(end + 1);
      end += 2;
    }
    if (hours > 23 || minutes < 0 || minutes > 59) return i;
    const auto offset = static_cast<int>(hours * 3600 + minutes * 60);
    fields_.offset = is(i, "-") ? -offset : offset;
    fields_.zone.clear();
    return end;
  }

  // The year is the one with more than two digits; without one, the first or, with `day_first`, the last.
  void set_day(std::string_view a, std::int64_t month, std::string_view c, bool day_first) {
    if (a.size() > 2 || (c.size() <= 2 && !day_first)) std::swap(a, c);
    fields_.day = value(a);
    fields_.month = month;
    fields_.year = full_year(c);
  }

  static std::int64_t full_year(std::string_view digits) {
    const auto year = value(digits);
    if (digits.size() > 2 || year < 0) return year;
    return year + (year >= 69 ? 1900 : 2000);
  }

  static bool is_ordinal(std::string_view word) {
    return word == "st" || word == "nd" || word == "rd" || word == "th";
  }

  void read_day() {
    for (std::size_t i = 0; i < pieces_.size(); ++i)
      if (read_day_at(i)) return;
  }

  bool read_day_at(std::size_t i) {
    if (const int named = month(i)) {
      fields_.month = named;
      // March 14th, 2016; Mar-14-2016; March 2016
      auto next = is(i + 1, "-") || is(i + 1, ".") ? i + 2 : i + 1;
      if (!is(next, Kind::number)) return true;
      if (text(next).size() > 2) {
        fields_.year = value(next);
        return true;
      }
      fields_.day = value(next++);
      if (is(next, Kind::word) && is_ordinal(text(next))) ++next;
      if (is(next, ",") || is(next, "-")) ++next;
      if (is(next, Kind::number)) fields_.year = full_year(text(next));
      return true;
    }
    if (!is(i, Kind::number)) return false;
    auto next = i + 1;
    const bool ordinal = is(next, Kind::word) && is_ordinal(text(next));
    if (ordinal) ++next;
    const bool dashed = is(next, "-");
    if (const int named = month(dashed ? next + 1 : next)) {
      // 14 March 2016, 14-Mar-2016, 2016-Mar-14
      next += dashed ? 2 : 1;
      if (is(next, "-") || is(next, ",") || is(next, ".")) ++next;
      if (is(next, Kind::number)) {
        set_day(text(i), named, text(next), true);
      } else if (text(i).size() > 2) {
        fields_.year = value(i), fields_.month = named;
      } else {
        fields_.day = value(i), fields_.month = named;
      }
      return true;
    }
    if (ordinal) {
      fields_.day = value(i);
      return true;
    }
    const bool separated = (is(next, "-") || is(next, "/") || is(next, ".")) && is(next + 1, Kind::number);
    if (!separated) return false;
    if (text(next) == text(std::min(next + 2, pieces_.size() - 1)) && is(next + 3, Kind::number)) {
      set_day(text(i), value(next + 1), text(next + 3), false);
      return true;
    }
    if (text(next) == ".") return false;
    // 2016-03 is a month, 3/14 a day.
    if (text(i).size() > 2) {
      fields_.year = value(i), fields_.month = value(next + 1);
    } else if (text(next) == "/") {
      fields_.month = value(i), fields_.day = value(next + 1);
    } else {
      return false;
    }
    return true;
  }

  std::vector<Piece> pieces_;
  Fields fields_;
};

bool within(const std::optional<std::int64_t>& field, std::int64_t least, std::int64_t most) {
  return !field || (*field >= least && *field <= most);
}

// The parts of the day of `now` as numbers, by way of the formatter.
std::int64_t part_of(const Moment& now, std::string_view directive) {
  Work work(0, 1000);
  std::string digits;
  append_moment(digits, directive, now, work);
  return leading_integer(digits);
}

}  // namespace

std::optional<Moment> parse_moment(std::string_view text, std::int64_t now) {
  if (text.empty() || text.size() > kLongest) return std::nullopt;
  const std::string lowered = lower(text);
  const auto milliseconds = (now % 1000 + 1000) % 1000;
  const Moment present{(now - milliseconds) / 1000, static_cast<int>(milliseconds * 1'000'000), 0, "UTC"};
  if (lowered == "now" || lowered == "today") return present;
  if (lowered.find_first_not_of("0123456789") == std::string::npos)
    return Moment{leading_integer(lowered), 0, 0, "UTC"};

  const auto fields = Reader(lowered).read();
  if (!fields) return std::nullopt;
  const auto& f = *fields;
  const bool valid = within(f.year, 0, 99999) && within(f.month, 1, 12) && within(f.day, 1, 31) &&
                     within(f.hour, 0, 24) && within(f.minute, 0, 59) && within(f.second, 0, 60);
  if (!valid) return std::nullopt;
  const auto year = f.year ? *f.year : part_of(present, "%Y");
  const auto month = f.month ? *f.month : f.year ? 1 : part_of(present, "%m");
  const auto day = f.day ? *f.day : f.year || f.month ? 1 : part_of(present, "%d");
  Moment moment;
  moment.offset = f.offset.value_or(0);
  moment.zone = f.offset ? f.zone : "UTC";
  moment.seconds = days_of(year, month, day) * 86400 + f.hour.value_or(0) * 3600 + f.minute.value_or(0) * 60 +
                   f.second.value_or(0) - moment.offset;
  moment.nanoseconds = f.nanoseconds;
  return moment;
}

}  // namespace cx::liquid
