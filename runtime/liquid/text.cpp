#include "runtime/liquid/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <clocale>
#include <cmath>
#include <cstring>
#include <cwctype>

namespace cx::liquid {
namespace {

bool is_strippable(char c) {
  return is_space(c) || c == '\0';
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// What the first byte promises; 1 for bytes that begin nothing.
std::size_t promised_bytes(char first) {
  const auto byte = static_cast<unsigned char>(first);
  if (byte >= 0xC2 && byte < 0xE0) return 2;
  if (byte >= 0xE0 && byte < 0xF0) return 3;
  if (byte >= 0xF0 && byte < 0xF5) return 4;
  return 1;
}

char32_t decode(std::string_view character) {
  if (character.size() == 1) return static_cast<unsigned char>(character[0]);
  char32_t code = static_cast<unsigned char>(character[0]) & (0xFFU >> (character.size() + 1));
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3F);
  return code;
}

void encode(std::string& out, char32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    tail(12), tail(6), tail(0);
  }
}

// The C library's table of all of Unicode, whatever locale the process runs in.
locale_t unicode() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

void append_cased(std::string& out, std::string_view character, bool to_upper) {
  if (character.size() == 1) {
    const char c = character[0];
    if (to_upper) {
      out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    } else {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
  } else if (to_upper && character == "ß") {
    out += "SS";
  } else if (unicode()) {
    const auto code = static_cast<wint_t>(decode(character));
    encode(out, static_cast<char32_t>(to_upper ? towupper_l(code, unicode()) : towlower_l(code, unicode())));
  } else {
    out += character;
  }
}

std::string cased(std::string_view text, bool first_upper, bool rest_upper) {
  std::string out;
  out.reserve(text.size());
  bool to_upper = first_upper;
  while (!text.empty()) {
    const auto bytes = character_bytes(text);
    append_cased(out, text.substr(0, bytes), to_upper);
    text.remove_prefix(bytes);
    to_upper = rest_upper;
  }
  return out;
}

std::string_view entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

// Whether `text`, which begins after '&', begins with the rest of an entity: letters or #digits, and ';'.
bool begins_entity(std::string_view text) {
  const auto number = text.starts_with('#');
  std::size_t n = number ? 1 : 0;
  const auto from = n;
  const auto belongs = [&](char c) {
    return number ? c >= '0' && c <= '9' : (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  // Entities are short: what is longer is none, and looking further would make this quadratic.
  while (n < text.size() && n < from + 32 && belongs(text[n])) ++n;
  return n > from && n < text.size() && text[n] == ';';
}

void append_hex(std::string& out, unsigned char byte) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  out += digits[byte >> 4];
  out += digits[byte & 15];
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_digit(char c, bool url) {
  if (url && c == '-') c = '+';
  if (url && c == '_') c = '/';
  const auto at = kBase64.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string_view trim_left(std::string_view text) {
  while (!text.empty() && is_strippable(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view trim_right(std::string_view text) {
  while (!text.empty() && is_strippable(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view trim(std::string_view text) {
  return trim_left(trim_right(text));
}

std::size_t character_bytes(std::string_view text) {
  const auto bytes = promised_bytes(text[0]);
  if (bytes > text.size()) return 1;
  for (std::size_t i = 1; i < bytes; ++i)
    if (!is_continuation(text[i])) return 1;
  return bytes;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    if (static_cast<unsigned char>(text[0]) < 0x80) {
      text.remove_prefix(1);
      continue;
    }
    const auto bytes = character_bytes(text);
    if (bytes == 1) return false;
    const auto code = decode(text.substr(0, bytes));
    if ((bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000)) return false;  // overlong
    if ((code >= 0xD800 && code < 0xE000) || code > 0x10FFFF) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::size_t count_characters(std::string_view text) {
  std::size_t n = 0;
  for (; !text.empty(); ++n) text.remove_prefix(character_bytes(text));
  return n;
}

std::size_t offset_of(std::string_view text, std::size_t n) {
  std::size_t at = 0;
  for (; n > 0 && at < text.size(); --n) at += character_bytes(text.substr(at));
  return at;
}

std::string upper(std::string_view text) {
  return cased(text, true, true);
}
std::string lower(std::string_view text) {
  return cased(text, false, false);
}
std::string capitalized(std::string_view text) {
  return cased(text, true, false);
}

std::size_t find(std::string_view text, std::string_view what, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (what.empty()) return from;
  // glibc's is linear in the worst case; std::string_view::find is not.
  const void* at = memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return at ? static_cast<std::size_t>(static_cast<const char*>(at) - text.data()) : std::string_view::npos;
}

std::size_t find_last(std::string_view text, std::string_view what) {
  const std::string backwards(text.rbegin(), text.rend());
  const std::string reversed(what.rbegin(), what.rend());
  const auto at = find(backwards, reversed);
  return at == std::string_view::npos ? at : text.size() - at - what.size();
}

std::optional<std::vector<std::string_view>> split(std::string_view text, std::string_view separator,
                                                   std::size_t most) {
  std::vector<std::string_view> parts;
  const bool words = separator == " ";
  if (words) text = trim_left(text);
  while (!text.empty()) {
    if (parts.size() == most) return std::nullopt;
    std::size_t end = 0;
    std::size_t next = 0;
    if (separator.empty()) {
      end = next = character_bytes(text);
    } else if (words) {
      while (end < text.size() && !is_strippable(text[end])) ++end;
      next = end;
      while (next < text.size() && is_strippable(text[next])) ++next;
    } else {
      end = std::min(find(text, separator), text.size());
      next = std::min(end + separator.size(), text.size());
    }
    parts.push_back(text.substr(0, end));
    text.remove_prefix(next);
  }
  while (!parts.empty() && parts.back().empty()) parts.pop_back();
  return parts;
}

std::int64_t leading_integer(std::string_view text) {
  text = trim_left(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  std::int64_t number = 0;
  const auto done = std::from_chars(text.data(), text.data() + text.size(), number);
  if (done.ec == std::errc::result_out_of_range) return text.starts_with('-') ? INT64_MIN : INT64_MAX;
  return number;
}

void append_float(std::string& out, double number) {
  if (std::isnan(number)) {
    out += "NaN";
    return;
  }
  if (std::isinf(number)) {
    out += number < 0 ? "-Infinity" : "Infinity";
    return;
  }
  std::array<char, 64> buffer{};
  const auto done =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::scientific);
  std::string_view text(buffer.data(), static_cast<std::size_t>(done.ptr - buffer.data()));
  if (text.starts_with('-')) {
    out += '-';
    text.remove_prefix(1);
  }
  const auto e = text.find('e');
  int exponent = 0;
  const auto exponent_text = text.substr(text[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  const auto count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    out += '.';
    out += count > 1 ? digits.substr(1) : "0";
    out += exponent < 0 ? "e-" : "e+";
    if (std::abs(exponent) < 10) out += '0';
    out += std::to_string(std::abs(exponent));
  } else if (exponent < 0) {
    out.append("0.").append(static_cast<std::size_t>(-exponent - 1), '0').append(digits);
  } else if (count <= exponent + 1) {
    out.append(digits).append(static_cast<std::size_t>(exponent + 1 - count), '0').append(".0");
  } else {
    const auto whole = static_cast<std::size_t>(exponent + 1);
    out.append(digits, 0, whole).append(".").append(digits, whole);
  }
}

void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const auto plain = std::min(text.find_first_of("&<>\"'"), text.size());
    out += text.substr(0, plain);
    if (plain < text.size()) out += entity(text[plain]);
    text.remove_prefix(std::min(plain + 1, text.size()));
  }
}

std::string escaped_once(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto replacement = entity(text[i]);
    if (replacement.empty() || (text[i] == '&' && begins_entity(text.substr(i + 1)))) {
      out += text[i];
    } else {
      out += replacement;
    }
  }
  return out;
}

namespace {

// Removes what is between each `open` and the `close` after it, of the kind that begins first.
struct Bracket {
  std::string_view open, close;
};

std::string without(std::string_view text, std::initializer_list<Bracket> kinds) {
  std::vector<Bracket> open(kinds);
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto angle = std::min(text.find('<', at), text.size());
    out += text.substr(at, angle - at);
    at = angle;
    if (at == text.size()) break;
    std::size_t end = std::string_view::npos;
    for (auto kind = open.begin(); kind != open.end();) {
      if (!text.substr(at).starts_with(kind->open)) {
        ++kind;
        continue;
      }
      end = text.find(kind->close, at + kind->open.size());
      if (end != std::string_view::npos) {
        end += kind->close.size();
        break;
      }
      kind = open.erase(kind);  // never closed from here on: looking again and again would be quadratic
    }
    if (end == std::string_view::npos) {
      out += text[at++];
    } else {
      at = end;
    }
  }
  return out;
}

}  // namespace

std::string without_tags(std::string_view html) {
  const auto visible = without(html, {{"<script", "</script>"}, {"<!--", "-->"}, {"<style", "</style>"}});
  return without(visible, {{"<", ">"}});
}

std::string url_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_word(c) || c == '.' || c == '-' || c == '~') {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += '%';
      append_hex(out, static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string url_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (escape) {
      out += static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string base64(std::string_view bytes, bool url) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? kBase64[group >> (18 - 6 * k) & 63] : '=';
  }
  if (url) {
    std::replace(out.begin(), out.end(), '+', '-');
    std::replace(out.begin(), out.end(), '/', '_');
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text, bool url) {
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  if (text.size() % 4 == 1) return std::nullopt;
  if ((text.size() + padding) % 4 != 0 && !(url && padding == 0)) return std::nullopt;
  std::string out;
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    const int digit = base64_digit(c, url);
    if (digit < 0) return std::nullopt;
    group = group << 6 | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(group >> bits & 0xFF);
  }
  if (group & ((1U << bits) - 1)) return std::nullopt;  // bits that no encoder leaves
  return out;
}

}  // namespace cx::liquid
