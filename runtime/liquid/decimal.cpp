#include "runtime/liquid/decimal.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

namespace cx::liquid {
namespace {

using Digits = Decimal::Digits;

constexpr int kMostPower = 38;  // 10^38 is the largest that fits

constexpr auto kPowers = [] {
  std::array<Digits, kMostPower + 1> powers{1};
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

Digits power(int n) {
  return kPowers[static_cast<std::size_t>(n)];
}

bool scale(Decimal& a, int places) {
  if (a.digits != 0 && (places > kMostPower || __builtin_mul_overflow(a.digits, power(places), &a.digits)))
    return false;
  a.exponent -= places;
  return true;
}

// Gives both the smaller exponent.
bool align(Decimal& a, Decimal& b) {
  return a.exponent > b.exponent ? scale(a, a.exponent - b.exponent) : scale(b, b.exponent - a.exponent);
}

}  // namespace

Decimal decimal_of(std::int64_t number) {
  return {number, 0};
}

Decimal decimal_of(double number) {
  std::array<char, 32> buffer{};
  const auto* begin = buffer.data();
  const auto* end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::scientific).ptr;
  const auto* e = std::find(begin, end, 'e');
  Decimal decimal;
  const auto* exponent = e[1] == '+' ? e + 2 : e + 1;
  std::from_chars(exponent, end, decimal.exponent);
  bool behind_point = false;
  for (const auto* c = begin; c < e; ++c) {
    if (*c == '.') behind_point = true;
    if (*c < '0' || *c > '9') continue;
    decimal.digits = decimal.digits * 10 + (*c - '0');
    if (behind_point) --decimal.exponent;
  }
  return *begin == '-' ? negated(decimal) : decimal;
}

std::optional<Decimal> decimal_of(std::string_view text) {
  if (text.size() > 38) return std::nullopt;
  Decimal decimal;
  for (const char c : text)
    if (c >= '0' && c <= '9') decimal.digits = decimal.digits * 10 + (c - '0');
  decimal.exponent = -static_cast<int>(text.size() - text.find('.') - 1);
  return text.starts_with('-') ? negated(decimal) : decimal;
}

double to_double(const Decimal& decimal) {
  auto rest = decimal.digits;
  std::string text;
  do {
    text += static_cast<char>('0' + static_cast<int>(rest < 0 ? -(rest % 10) : rest % 10));
    rest /= 10;
  } while (rest != 0);
  if (decimal.digits < 0) text += '-';
  std::reverse(text.begin(), text.end());
  text += 'e';
  text += std::to_string(decimal.exponent);
  double number = 0;
  const auto done = std::from_chars(text.data(), text.data() + text.size(), number);
  if (done.ec != std::errc::result_out_of_range) return number;
  if (decimal.exponent < 0) return 0;
  return decimal.digits < 0 ? -HUGE_VAL : HUGE_VAL;
}

std::optional<std::int64_t> to_integer(const Decimal& decimal) {
  auto whole = decimal;
  if (whole.exponent > 0 && !scale(whole, whole.exponent)) return std::nullopt;
  if (whole.digits < INT64_MIN || whole.digits > INT64_MAX) return std::nullopt;
  return static_cast<std::int64_t>(whole.digits);
}

Decimal negated(const Decimal& a) {
  return {-a.digits, a.exponent};
}

std::optional<Decimal> add(Decimal a, Decimal b) {
  if (!align(a, b) || __builtin_add_overflow(a.digits, b.digits, &a.digits)) return std::nullopt;
  return a;
}

std::optional<Decimal> multiply(const Decimal& a, const Decimal& b) {
  Decimal product{0, a.exponent + b.exponent};
  if (__builtin_mul_overflow(a.digits, b.digits, &product.digits)) return std::nullopt;
  return product;
}

std::optional<Decimal> divide(Decimal a, const Decimal& b) {
  if (b.digits > power(19) || b.digits < -power(19)) return std::nullopt;
  // As many digits as there is room for.
  while (a.digits != 0 && a.digits < power(37) && a.digits > -power(37)) scale(a, 1);
  return Decimal{a.digits / b.digits, a.exponent - b.exponent};
}

std::optional<Decimal> modulo(Decimal a, Decimal b) {
  if (!align(a, b)) return std::nullopt;
  a.digits %= b.digits;
  if (a.digits != 0 && (a.digits < 0) != (b.digits < 0)) a.digits += b.digits;
  return a;
}

bool less(const Decimal& a, const Decimal& b) {
  auto left = a, right = b;
  return align(left, right) ? left.digits < right.digits : to_double(a) < to_double(b);
}

Decimal floored(const Decimal& a) {
  if (a.exponent >= 0) return a;
  if (a.exponent < -kMostPower) return {a.digits < 0 ? -1 : 0, 0};
  const auto unit = power(-a.exponent);
  return {a.digits / unit - (a.digits % unit < 0 ? 1 : 0), 0};
}

Decimal rounded(const Decimal& a, int places) {
  const int cut = -places - a.exponent;
  if (cut <= 0) return a;
  if (cut > kMostPower) return {0, -places};
  const auto unit = power(cut);
  const auto rest = a.digits < 0 ? -(a.digits % unit) : a.digits % unit;
  const auto up = rest >= unit - rest ? (a.digits < 0 ? -1 : 1) : 0;
  return {a.digits / unit + up, -places};
}

}  // namespace cx::liquid
