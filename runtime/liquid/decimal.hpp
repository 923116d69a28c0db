#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cx::liquid {

/// `digits` times ten to the power of `exponent`: what people calculate with, so that 0.1 + 0.2 is 0.3. Holds
/// 38 digits; a result that needs more is nullopt. (Boost's cpp_dec_float took five times as long, and most
/// of the time of a page.)
struct Decimal {
  __extension__ using Digits = __int128;

  Digits digits = 0;
  int exponent = 0;
};

Decimal decimal_of(std::int64_t number);
/// The shortest one that reads back as the same; `number` is finite.
Decimal decimal_of(double number);
/// Of -?\d+\.\d+; nullopt: more than 36 digits.
std::optional<Decimal> decimal_of(std::string_view text);

double to_double(const Decimal& decimal);
/// Of one without a fraction; nullopt: more than 64 bits.
std::optional<std::int64_t> to_integer(const Decimal& decimal);

Decimal negated(const Decimal& a);
std::optional<Decimal> add(Decimal a, Decimal b);
std::optional<Decimal> multiply(const Decimal& a, const Decimal& b);
/// To 19 digits at least; `b` is not 0.
std::optional<Decimal> divide(Decimal a, const Decimal& b);
/// Of the sign of `b`, which is not 0.
std::optional<Decimal> modulo(Decimal a, Decimal b);
bool less(const Decimal& a, const Decimal& b);

/// To a whole number, down.
Decimal floored(const Decimal& a);
/// To so many digits behind the point, or zeros before it if negative; half away from zero.
Decimal rounded(const Decimal& a, int places);

}  // namespace cx::liquid
