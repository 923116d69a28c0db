#include <algorithm>
#include <charconv>
#include <cmath>
#include <variant>

#include "runtime/liquid/decimal.hpp"
#include "runtime/liquid/filters.hpp"
#include "runtime/liquid/property.hpp"
#include "runtime/liquid/text.hpp"

/// Whole numbers of 64 bits; everything else is decimal. A whole number that does not fit any more becomes a
/// fraction, and what 38 digits cannot hold is calculated as a double.
namespace cx::liquid {
namespace {

using Number = std::variant<std::int64_t, Decimal>;

const std::int64_t* whole(const Number& number) {
  return std::get_if<std::int64_t>(&number);
}

Decimal decimal(const Number& number) {
  return whole(number) ? decimal_of(*whole(number)) : std::get<Decimal>(number);
}

// -?\d+\.\d+
bool is_decimal(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const auto dot = text.find('.');
  return dot != std::string_view::npos && digits(text.substr(0, dot)) && digits(text.substr(dot + 1));
}

Number number(double real) {
  return std::isfinite(real) ? Number(decimal_of(real)) : Number(std::int64_t{0});
}

Number number(const Value& value) {
  if (const auto* integer = value.as<std::int64_t>()) return *integer;
  if (const auto* real = value.as<double>()) return number(*real);
  const auto* text = value.as<Text>();
  if (!text) return std::int64_t{0};
  const auto digits = trim(text->view);
  if (!is_decimal(digits)) return leading_integer(digits);
  if (const auto exact = decimal_of(digits)) return *exact;
  double real = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), real);
  return number(real);
}

Value value(const Number& number) {
  return whole(number) ? Value(*whole(number)) : Value(to_double(std::get<Decimal>(number)));
}

// Of a number without a fraction.
Value whole_value(const Decimal& decimal) {
  const auto integer = to_integer(decimal);
  return integer ? Value(*integer) : Value(to_double(decimal));
}

Number add(const Number& a, const Number& b) {
  std::int64_t sum = 0;
  if (whole(a) && whole(b) && !__builtin_add_overflow(*whole(a), *whole(b), &sum)) return sum;
  const auto exact = add(decimal(a), decimal(b));
  return exact ? Number(*exact) : number(to_double(decimal(a)) + to_double(decimal(b)));
}

Value plus(Call& call) {
  return value(add(number(call.input), number(call.arguments[0])));
}

Value minus(Call& call) {
  const auto a = number(call.input), b = number(call.arguments[0]);
  std::int64_t difference = 0;
  if (whole(a) && whole(b) && !__builtin_sub_overflow(*whole(a), *whole(b), &difference))
    return Value(difference);
  return value(add(a, Number(negated(decimal(b)))));
}

Value times(Call& call) {
  const auto a = number(call.input), b = number(call.arguments[0]);
  std::int64_t product = 0;
  if (whole(a) && whole(b) && !__builtin_mul_overflow(*whole(a), *whole(b), &product)) return Value(product);
  const auto exact = multiply(decimal(a), decimal(b));
  return Value(exact ? to_double(*exact) : to_double(decimal(a)) * to_double(decimal(b)));
}

// Both round down, as in Ruby: -7 / 2 is -4 and leaves 1.
Value divided_by(Call& call) {
  const auto a = number(call.input), b = number(call.arguments[0]);
  if (decimal(b).digits == 0) return call.fail("divided by 0");
  if (whole(a) && whole(b)) {
    const auto x = *whole(a), y = *whole(b);
    if (y != -1) return Value(x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0));
    if (x != INT64_MIN) return Value(-x);
  }
  const auto exact = divide(decimal(a), decimal(b));
  return Value(exact ? to_double(*exact) : to_double(decimal(a)) / to_double(decimal(b)));
}

Value modulo(Call& call) {
  const auto a = number(call.input), b = number(call.arguments[0]);
  if (decimal(b).digits == 0) return call.fail("divided by 0");
  if (whole(a) && whole(b)) {
    const auto x = *whole(a), y = *whole(b);
    return Value(y == -1 ? std::int64_t{0} : x % y + (x % y != 0 && (x < 0) != (y < 0) ? y : 0));
  }
  if (const auto exact = modulo(decimal(a), decimal(b))) return Value(to_double(*exact));
  const auto divisor = to_double(decimal(b));
  const auto rest = std::fmod(to_double(decimal(a)), divisor);
  return Value(rest != 0 && (rest < 0) != (divisor < 0) ? rest + divisor : rest);
}

Value absolute(Call& call) {
  const auto a = number(call.input);
  if (whole(a) && *whole(a) != INT64_MIN) return Value(std::max(*whole(a), -*whole(a)));
  const auto exact = decimal(a);
  return Value(to_double(exact.digits < 0 ? negated(exact) : exact));
}

Value round_up(Call& call) {
  const auto a = number(call.input);
  return whole(a) ? value(a) : whole_value(negated(floored(negated(decimal(a)))));
}

Value round_down(Call& call) {
  const auto a = number(call.input);
  return whole(a) ? value(a) : whole_value(floored(decimal(a)));
}

Value round_to(Call& call) {
  const auto a = number(call.input);
  const auto places = to_integer(floored(decimal(number(call.arguments[0])))).value_or(0);
  // Beyond these nothing is left to round, or nothing is left at all.
  const auto kept = static_cast<int>(std::clamp<std::int64_t>(places, -400, 400));
  if (kept > 0) return whole(a) ? value(a) : Value(to_double(rounded(decimal(a), kept)));
  return whole_value(rounded(decimal(a), kept));
}

Value at_least(Call& call) {
  const auto a = number(call.input), b = number(call.arguments[0]);
  return value(less(decimal(a), decimal(b)) ? b : a);
}

Value at_most(Call& call) {
  const auto a = number(call.input), b = number(call.arguments[0]);
  return value(less(decimal(b), decimal(a)) ? b : a);
}

Value sum(Call& call) {
  auto items = elements(call.input, call.work);
  if (!call.arguments[0].nil()) {
    for (auto& item : items) {
      auto found = property(call, item, call.arguments[0]);
      if (found.is == Property::Is::impossible) return {};
      item = std::move(found.value);
    }
    items = elements(Value::list(std::move(items)), call.work);
  }
  Number total = std::int64_t{0};
  for (const auto& item : items) total = add(total, number(item));
  return value(total);
}

constexpr Filter kFilters[] = {
    {"abs", 0, 0, absolute},
    {"at_least", 1, 1, at_least},
    {"at_most", 1, 1, at_most},
    {"ceil", 0, 0, round_up},
    {"divided_by", 1, 1, divided_by},
    {"floor", 0, 0, round_down},
    {"minus", 1, 1, minus},
    {"modulo", 1, 1, modulo},
    {"plus", 1, 1, plus},
    {"round", 0, 1, round_to},
    {"sum", 0, 1, sum},
    {"times", 1, 1, times},
};

}  // namespace

std::span<const Filter> number_filters() {
  return kFilters;
}

}  // namespace cx::liquid
