#include "actors/bidding/openrtb/reader.hpp"

#include <charconv>
#include <cmath>

namespace cx::openrtb {
namespace {

using Type = simdjson::dom::element_type;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

/// Towards zero, and to the nearest bound outside of the range.
std::int64_t saturate(double value) {
  if (value >= 0x1p63) return kMax;
  if (value < -0x1p63) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(value);
}

std::string describe(const Value& value) {
  if (value.absent()) return "missing";
  const auto& element = *value.element;
  switch (element.type()) {
    case Type::NULL_VALUE:
      return "null";
    case Type::BOOL:
      return element.get_bool().value_unsafe() ? "true" : "false";
    case Type::INT64:
      return std::to_string(element.get_int64().value_unsafe());
    case Type::UINT64:
      return std::to_string(element.get_uint64().value_unsafe());
    case Type::DOUBLE: {
      std::array<char, 32> text;
      const auto end =
          std::to_chars(text.data(), text.data() + text.size(), element.get_double().value_unsafe()).ptr;
      return {text.data(), end};
    }
    case Type::STRING:
      return element.get_string_length().value_unsafe() == 0 ? "empty" : "a string";
    case Type::ARRAY:
      return element.get_array().value_unsafe().size() == 0 ? "empty" : "an array";
    case Type::OBJECT:
      return "an object";
  }
  return "unknown";
}

}  // namespace

std::string Path::dotted() const {
  if (parent_ == nullptr) return "";
  std::string before = parent_->dotted();
  if (key_.empty()) return before + "[" + std::to_string(index_) + "]";
  return before + (before.empty() ? "" : ".") + std::string(key_);
}

std::string Path::pointer() const {
  if (parent_ == nullptr) return "";
  return parent_->pointer() + "/" + (key_.empty() ? std::to_string(index_) : std::string(key_));
}

bool Reader::refuse(const Path& path, std::string detail) {
  error_ = Error{Code::invalid_argument, "invalid-bid-request", std::move(detail), path.pointer()};
  return false;
}

bool Reader::refuse(const Value& value, std::string_view must_be) {
  std::string name = value.path.dotted();
  if (name.empty()) name = "The body";
  return refuse(value.path, name + " is " + describe(value) + "; it must be " + std::string(must_be) + ".");
}

bool Reader::integer64(const Value& value, std::int64_t low, std::int64_t& out) {
  switch (value.element->type()) {
    case Type::INT64:
      out = value.element->get_int64().value_unsafe();
      break;
    case Type::UINT64:
      out = kMax;
      break;
    case Type::DOUBLE: {
      const double number = value.element->get_double().value_unsafe();
      if (number != std::trunc(number)) return refuse(value, "an integer");
      out = saturate(number);
      break;
    }
    default:
      return refuse(value, "an integer");
  }
  return out >= low || refuse(value, std::to_string(low) + " or more");
}

bool Reader::flag(const Value& value, bool& out) {
  int number = 0;
  const bool good = integer(value, number);
  out = number != 0;
  return good;
}

bool Reader::binary(const Value& value, bool& out) {
  int number = 0;
  const bool good = integer(value, number);
  out = number == 1;
  return good && (number == 0 || number == 1 || refuse(value, "0 or 1"));
}

bool Reader::text(const Value& value, std::string_view& out, std::string_view absent) {
  out = absent;
  return value.absent() || !value.element->get(out) || refuse(value, "a string");
}

bool Reader::identifier(const Value& value, std::string_view& out) {
  out = {};
  const bool good = !value.absent() && !value.element->get(out) && !out.empty();
  return good || refuse(value, "a non-empty string");
}

bool Reader::integers(const Value& value, std::vector<int>& out, std::int64_t low) {
  out.clear();
  return each(value, [&](const Value& item) { return integer(item, out.emplace_back(), low); });
}

bool Reader::texts(const Value& value, std::vector<std::string_view>& out) {
  out.clear();
  return each(value, [&](const Value& item) { return text(item, out.emplace_back()); });
}

bool Reader::micros(const Value& value, std::int64_t& out) {
  constexpr std::int64_t kPerUnit = 1'000'000;
  out = 0;
  if (value.absent()) return true;
  double price = 0;
  if (!value.element->is_number() || value.element->get(price)) return refuse(value, "a number");
  if (price < 0) return refuse(value, "0 or more");
  std::int64_t whole = 0;
  if (!value.element->get(whole)) {
    out = whole > kMax / kPerUnit ? kMax : whole * kPerUnit;
    return true;
  }
  const double product = price * kPerUnit;
  // The product of a decimal such as 0.07 may be an ulp or two too large, which must not cost a whole micro;
  // from 2^52 on a double has no fraction left to round.
  out = saturate(product < 0x1p52 ? std::ceil(product - product * 0x1p-51) : product);
  return true;
}

bool Reader::not_negative(const Value& value) {
  double number = 0;
  return value.absent() || value.element->get(number) || number >= 0 || refuse(value, "0 or more");
}

}  // namespace cx::openrtb
