#include "tools/campaignctl/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/core.h>
#include <numeric>

namespace cx::ctl {
namespace {

std::string scaled(double n, double step, std::string_view units) {
  std::size_t unit = 0;
  // 999.95 would print as 1000.0: it belongs to the next unit.
  while (n >= step - 0.05 * step / 1000 && unit + 1 < units.size()) {
    n /= step;
    ++unit;
  }
  const bool whole = unit == 0 && n == std::floor(n);
  return fmt::format("{:.{}f}", n, whole || n >= 99.95 ? 0 : 1) +
         (unit == 0 ? "" : fmt::format(" {}", units[unit]));
}

/// Decodes one code point at the start of `text`; its length in bytes is 0 where the bytes are not UTF-8.
struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;
};
CodePoint decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  char32_t value = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {};
  return {value, length};
}

bool steers_terminal(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f;
}

/// Bytes of the SGR sequence at the start of `text`, or 0.
std::size_t sgr(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  const auto end = text.find('m');
  return end == text.npos ? 0 : end + 1;
}

std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string human_count(double n) {
  return scaled(n, 1000, " kMGTP");
}

std::string human_bytes(double bytes) {
  const std::string text = scaled(bytes, 1024, " KMGTP");
  return text.find(' ') == text.npos ? text + " B" : text;
}

std::string human_ms(double ms) {
  if (ms < 0.995) return fmt::format("{:.{}f} ms", ms, ms == 0 ? 0 : ms < 0.0995 ? 2 : 1);
  if (ms < 9.95) return fmt::format("{:.1f} ms", ms);
  if (ms < 999.5) return fmt::format("{:.0f} ms", ms);
  return fmt::format("{:.1f} s", ms / 1000);
}

std::string human_uptime(double seconds) {
  const auto s = static_cast<long long>(std::max(0.0, seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} m {} s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{} h {} m", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  double n = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), n, std::chars_format::fixed);
  if (error != std::errc()) return {};
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const double factor = unit == "ms" ? 1 : unit == "s" ? 1e3 : unit == "m" ? 6e4 : unit == "h" ? 3.6e6 : 0;
  const double ms = n * factor;
  if (!(ms >= 1 && ms <= 24 * 3.6e6)) return {};
  return std::chrono::milliseconds(std::llround(ms));
}

std::string printable(std::string_view text, std::string_view keep) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto [value, length] = decode(text.substr(i));
    if (length == 0)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    else if (steers_terminal(value) && keep.find(text[i]) == keep.npos)
      out +=
          fmt::format(fmt::runtime(value < 0x80 ? "\\x{:02x}" : "\\u{:04x}"), static_cast<unsigned>(value));
    else
      out += text.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return out;
}

std::string paint(std::string_view text, Color color, bool on) {
  constexpr std::array<std::string_view, 5> kCode{"", "1", "31", "33", "2"};
  if (!on || color == Color::none) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", kCode[static_cast<std::size_t>(color)], text);
}

std::size_t width(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (const auto skip = sgr(text.substr(i))) {
      i += skip;
      continue;
    }
    i += std::max<std::size_t>(decode(text.substr(i)).length, 1);
    ++columns;
  }
  return columns;
}

std::string cut(std::string_view text, std::size_t columns) {
  if (width(text) <= columns) return std::string(text);
  std::string out;
  bool painted = false;
  for (std::size_t i = 0, used = 1; i < text.size() && used < columns;) {
    const auto skip = sgr(text.substr(i));
    const auto length = skip > 0 ? skip : std::max<std::size_t>(decode(text.substr(i)).length, 1);
    if (skip > 0)
      painted = text.substr(i, skip) != "\x1b[0m";
    else
      ++used;
    out += text.substr(i, length);
    i += length;
  }
  return out + "…" + (painted ? "\x1b[0m" : "");
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t distance = 3;
  for (const auto& candidate : candidates) {
    const auto d = edits(word, candidate);
    // Two edits turn any two letters into any other word of two: a guess must keep some of the word.
    if (d < distance && d < candidate.size()) {
      distance = d;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const auto guess = nearest(word, candidates);
  return guess.empty() ? "" : fmt::format(" (did you mean {}?)", guess);
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string out;
  for (const auto& word : words) {
    if (&word != &words.front()) out += separator;
    out += word;
  }
  return out;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c == '_' ? ' ' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

}  // namespace cx::ctl
