#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace cx::http {

/// Whether two words differ by one or two edits (Levenshtein). Words over 64 bytes are like no other.
inline bool similar(std::string_view a, std::string_view b) {
  constexpr std::size_t kLongest = 64, kEdits = 2;
  if (a == b || a.size() > kLongest || b.size() > kLongest || std::max(a.size(), b.size()) <= kEdits)
    return false;
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > kEdits) return false;
  std::array<std::size_t, kLongest + 1> row;
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()] <= kEdits;
}

}  // namespace cx::http
