#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cx::ctl {

/// A count or rate for people, two to four digits: "7", "0.4", "9.8 k", "312 k", "1.2 M".
std::string human_count(double n);
/// Binary multiples, as `top` shows them: "512 B", "2.0 G".
std::string human_bytes(double bytes);
/// From milliseconds: "0.04 ms", "0.4 ms", "210 ms", "1.9 s".
std::string human_ms(double ms);
/// Whole seconds, in the two largest units: "42 s", "3 h 2 m", "12 d 4 h".
std::string human_uptime(double seconds);

/// "500ms", "5s", "1.5s", "2m", "1h"; between 1 ms and 24 h. Nothing for anything else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The text with whatever could steer a terminal made visible: control characters, invalid UTF-8 and
/// bidirectional overrides as \x1b or \u202e. Characters in `keep` stay.
std::string printable(std::string_view text, std::string_view keep = {});

enum class Color { none, bold, red, yellow, dim };
/// Wraps in an SGR sequence; `text` itself when off or Color::none.
std::string paint(std::string_view text, Color color, bool on);

/// Columns on a terminal: code points, not counting the sequences of paint().
std::size_t width(std::string_view text);
/// At most `columns` of it, ending in "…" when something is missing.
std::string cut(std::string_view text, std::size_t columns);

/// The candidate closest to a mistyped word, at most two edits away (a swap of neighbours is one); empty if
/// none.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);
/// " (did you mean X?)", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

std::string join(const std::vector<std::string>& words, std::string_view separator);
std::string upper(std::string_view text);

}  // namespace cx::ctl
