#pragma once

#include <cstdint>
#include <string>

namespace cx {

/// A UUID version 7 (RFC 9562 section 5.7) of a time and 74 random bits.
inline std::string uuid7(std::int64_t unix_ms, std::uint64_t random_a, std::uint64_t random_b) {
  const auto ms = static_cast<std::uint64_t>(unix_ms);
  const std::uint64_t high = (ms << 16) | 0x7000 | (random_a & 0x0fff);
  const std::uint64_t low = 0x8000000000000000 | (random_b >> 2);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out(36, '-');
  std::size_t at = 0;
  for (int digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) ++at;
    const auto half = digit < 16 ? high : low;
    out[at++] = kHex[(half >> (60 - 4 * (digit % 16))) & 15];
  }
  return out;
}

}  // namespace cx
