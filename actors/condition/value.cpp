#include "actors/condition/value.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <charconv>
#include <cmath>

namespace cx::condition {
namespace {

std::partial_ordering reversed(std::partial_ordering order) {
  return 0 <=> order;
}

/// `whole` against what is no integer's double.
std::partial_ordering compare_real(const Number& whole, double real) {
  if (std::isnan(real)) return std::partial_ordering::unordered;
  const double down = std::floor(real);
  // The doubles outside of the integers' range are on one side of all of them.
  if (whole.kind == Number::Kind::negative) {
    if (down >= 0) return std::partial_ordering::less;
    if (down < -0x1p63) return std::partial_ordering::greater;
    const auto at = static_cast<std::int64_t>(down);
    if (whole.negative != at) return whole.negative <=> at;
  } else {
    if (down < 0) return std::partial_ordering::greater;
    if (down >= 0x1p64) return std::partial_ordering::less;
    const auto at = static_cast<std::uint64_t>(down);
    if (whole.positive != at) return whole.positive <=> at;
  }
  return real > down ? std::partial_ordering::less : std::partial_ordering::equivalent;
}

template <class T>
bool read_all(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool is_number_start(char c) {
  return c == '-' || (c >= '0' && c <= '9');
}

View number(Number value) {
  return {View::Type::number, false, value, {}, nullptr};
}

View boolean(bool value) {
  return {View::Type::boolean, value, {}, {}, nullptr};
}

}  // namespace

Number Number::of(std::int64_t value) {
  if (value >= 0) return of(static_cast<std::uint64_t>(value));
  return {Kind::negative, value, 0, 0};
}

Number Number::of(std::uint64_t value) {
  return {Kind::positive, 0, value, 0};
}

Number Number::of(double value) {
  return {Kind::real, 0, 0, value};
}

double Number::rounded() const {
  switch (kind) {
    case Kind::negative:
      return static_cast<double>(negative);
    case Kind::positive:
      return static_cast<double>(positive);
    case Kind::real:
      break;
  }
  return real;
}

std::partial_ordering compare(const Number& a, const Number& b) {
  using Kind = Number::Kind;
  if (a.kind == Kind::real && b.kind == Kind::real) return a.real <=> b.real;
  if (b.kind == Kind::real) return compare_real(a, b.real);
  if (a.kind == Kind::real) return reversed(compare_real(b, a.real));
  if (a.kind != b.kind)
    return a.kind == Kind::negative ? std::partial_ordering::less : std::partial_ordering::greater;
  if (a.kind == Kind::negative) return a.negative <=> b.negative;
  return a.positive <=> b.positive;
}

View view_of(const boost::json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return {};
    case boost::json::kind::bool_:
      return boolean(value.get_bool());
    case boost::json::kind::int64:
      return number(Number::of(value.get_int64()));
    case boost::json::kind::uint64:
      return number(Number::of(value.get_uint64()));
    case boost::json::kind::double_:
      return number(Number::of(value.get_double()));
    case boost::json::kind::string:
      return view_of(std::string_view(value.get_string().data(), value.get_string().size()));
    case boost::json::kind::array:
    case boost::json::kind::object:
      break;
  }
  View view;
  view.type = View::Type::compound;
  view.compound = &value;
  return view;
}

View view_of(std::string_view text) {
  View view;
  view.type = View::Type::text;
  view.text = text;
  return view;
}

View view_of_json(std::string_view json, Scratch& scratch) {
  if (json.size() >= 2 && json.front() == '"' && json.back() == '"') {
    const auto inside = json.substr(1, json.size() - 2);
    if (inside.find_first_of("\\\"") == std::string_view::npos) return view_of(inside);
  }
  if (json == "true" || json == "false") return boolean(json == "true");
  if (!json.empty() && is_number_start(json.front())) {
    std::int64_t whole = 0;
    std::uint64_t large = 0;
    double real = 0;
    if (read_all(json, whole)) return number(Number::of(whole));
    if (read_all(json, large)) return number(Number::of(large));
    if (read_all(json, real) && std::isfinite(real)) return number(Number::of(real));
  }
  boost::json::error_code error;
  scratch.value = boost::json::parse({json.data(), json.size()}, error);
  return error ? View{} : view_of(scratch.value);
}

boost::json::value value_of(const View& view) {
  switch (view.type) {
    case View::Type::absent:
      break;
    case View::Type::boolean:
      return view.boolean;
    case View::Type::number:
      switch (view.number.kind) {
        case Number::Kind::negative:
          return view.number.negative;
        case Number::Kind::positive:
          if (view.number.positive <= INT64_MAX) return static_cast<std::int64_t>(view.number.positive);
          return view.number.positive;
        case Number::Kind::real:
          return view.number.real;
      }
      break;
    case View::Type::text:
      return boost::json::string(boost::json::string_view(view.text.data(), view.text.size()));
    case View::Type::compound:
      return *view.compound;
  }
  return nullptr;
}

bool equal(const View& a, const View& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case View::Type::absent:
      return true;
    case View::Type::boolean:
      return a.boolean == b.boolean;
    case View::Type::number:
      return compare(a.number, b.number) == 0;
    case View::Type::text:
      return a.text == b.text;
    case View::Type::compound:
      break;
  }
  const auto &x = *a.compound, &y = *b.compound;
  if (x.is_array() != y.is_array()) return false;
  if (x.is_array())
    return std::equal(x.get_array().begin(), x.get_array().end(), y.get_array().begin(), y.get_array().end(),
                      [](const auto& p, const auto& q) { return equal(p, q); });
  const auto &left = x.get_object(), &right = y.get_object();
  return left.size() == right.size() && std::all_of(left.begin(), left.end(), [&](const auto& member) {
           const auto* other = right.if_contains(member.key());
           return other != nullptr && equal(member.value(), *other);
         });
}

bool equal(const boost::json::value& a, const boost::json::value& b) {
  return equal(view_of(a), view_of(b));
}

bool append_text(std::string& out, const View& view) {
  char buffer[32];
  const auto append = [&](auto value) {
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  };
  switch (view.type) {
    case View::Type::boolean:
      out += view.boolean ? "true" : "false";
      return true;
    case View::Type::text:
      out += view.text;
      return true;
    case View::Type::number:
      if (view.number.kind == Number::Kind::negative)
        append(view.number.negative);
      else if (view.number.kind == Number::Kind::positive)
        append(view.number.positive);
      else
        append(view.number.real);
      return true;
    case View::Type::absent:
    case View::Type::compound:
      break;
  }
  return false;
}

}  // namespace cx::condition
