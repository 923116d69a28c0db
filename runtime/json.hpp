#pragma once

#include <fmt/format.h>
#include <iterator>
#include <string>
#include <string_view>

namespace cx {

/// Appends `text` (UTF-8) as a JSON string, quotes included.
inline void append_json(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    else
      out += c;
  }
  out += '"';
}

}  // namespace cx
