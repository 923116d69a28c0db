#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/uuid.hpp"

// Ids of decisions are those of bids: a UUIDv7 of when the bid request was answered, "-", and which bid of
// the answer it is, from 1: "019a8f2e-6c1d-7a4b-9d3e-5f6a7b8c9d0e-1". They sort by time.

namespace cx::decision {

/// How much clocks may differ.
inline constexpr std::int64_t kSkew = 300'000;  // milliseconds

inline std::string id_of(std::string_view answer, std::size_t bid) {
  return std::string(answer) + '-' + std::to_string(bid + 1);
}

/// When it was decided, Unix milliseconds; none for what is no id as above, in lower case.
inline std::optional<std::int64_t> decided_at(std::string_view id) {
  constexpr std::size_t kUuid = 36, kMostDigits = 3;
  if (id.size() < kUuid + 2 || id.size() > kUuid + 1 + kMostDigits || id[kUuid] != '-') return std::nullopt;
  std::uint64_t ms = 0;
  for (std::size_t i = 0; i < kUuid; ++i) {
    const char c = id[i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-') return std::nullopt;
      continue;
    }
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return std::nullopt;
    if (i < 13) ms = ms << 4 | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  if (id[14] != '7' || id[kUuid + 1] == '0') return std::nullopt;
  for (const char c : id.substr(kUuid + 1))
    if (c < '0' || c > '9') return std::nullopt;
  return static_cast<std::int64_t>(ms);
}

/// What sorts before every id of that time or later, and after all others.
inline std::string first_id(std::int64_t unix_ms) {
  constexpr std::int64_t kLast = (std::int64_t{1} << 48) - 1;
  return uuid7(unix_ms < 0 ? 0 : unix_ms > kLast ? kLast : unix_ms, 0, 0).substr(0, 13);
}

}  // namespace cx::decision
