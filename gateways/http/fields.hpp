#pragma once

#include <algorithm>
#include <string_view>

namespace cx::http {

// The grammar of header fields (RFC 9110, section 5.6).

/// Without the blanks at both ends.
inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Equal but for the case of ASCII letters.
inline bool same(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

/// Calls `use` with each element of a comma-separated list, trimmed; empty ones are skipped. A comma within
/// quotes separates nothing.
template <class Use>
void for_each_element(std::string_view list, Use use) {
  std::size_t begin = 0;
  bool quoted = false;
  for (std::size_t i = 0; i <= list.size(); ++i) {
    if (i < list.size() && list[i] == '"') quoted = !quoted;
    if (i < list.size() && (list[i] != ',' || quoted)) continue;
    if (const auto element = trimmed(list.substr(begin, i - begin)); !element.empty()) use(element);
    begin = i + 1;
  }
}

/// Whether an If-None-Match field names the entity tag `etag`, quotes included, by the weak comparison (RFC
/// 9110, section 13.1.2). False where either is empty.
bool names_etag(std::string_view if_none_match, std::string_view etag);

}  // namespace cx::http
