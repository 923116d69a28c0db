#pragma once

#include <string>
#include <string_view>

namespace cx {

/// Names of the contract as people type them, in command lines and subjects: "go-live" for GoLive,
/// "start-at" for start_at.
inline std::string kebab(std::string_view name) {
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!is_upper(c)) {
      out += c == '_' ? '-' : c;
      continue;
    }
    const bool starts_word = i > 0 && name[i - 1] != '_' &&
                             (!is_upper(name[i - 1]) || (i + 1 < name.size() && name[i + 1] >= 'a'));
    if (starts_word) out += '-';
    out += static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace cx
