#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Values as JSON writes them.
namespace cx::json {

enum class Read { good, malformed, out_of_range };

/// Whether `text` is a number by RFC 8259, section 6.
bool is_number(std::string_view text);

/// An integer in decimal; with a fraction or an exponent only if it is whole and below 2^53.
template <class Int>
Read read_integer(std::string_view text, Int& out);

/// A JSON number rounded to the nearest Float; too small a one is 0.
template <class Float>
Read read_float(std::string_view text, Float& out);

/// Base64 of RFC 4648, of either alphabet, padded fully or not at all.
bool read_base64(std::string_view text, std::string& out);
void append_base64(std::string& out, std::string_view bytes);

struct Seconds {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
};

/// RFC 3339 with 'T' and 'Z' or an offset, at most nine digits of a second's fraction, of the years 1 to
/// 9999.
Read read_timestamp(std::string_view text, Seconds& out);
/// In UTC with 0, 3, 6 or 9 digits of the fraction; false, and nothing appended, if it is out of range.
bool append_timestamp(std::string& out, Seconds time);

/// "-1.5s", at most 315,576,000,000 seconds (10,000 years) either way.
Read read_duration(std::string_view text, Seconds& out);
/// As append_timestamp; both parts must have the same sign.
bool append_duration(std::string& out, Seconds duration);

/// A path of a field mask with its names in snake_case; nothing if it is not names joined by '.'.
std::optional<std::string> read_mask_path(std::string_view path);
/// The path in lowerCamelCase, or as it is where the way back would lead elsewhere.
void append_mask_path(std::string& out, std::string_view path);

/// `text` in quotes, cut at some 40 bytes between characters.
std::string quote(std::string_view text);

}  // namespace cx::json
