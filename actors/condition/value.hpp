#pragma once

// Values as conditions compare them; for actors/condition/*.cpp only.

#include <boost/json/value.hpp>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace cx::condition {

/// A number as JSON has it, without loss.
struct Number {
  enum class Kind { negative, positive, real } kind = Kind::positive;
  std::int64_t negative = 0;   ///< below 0
  std::uint64_t positive = 0;  ///< 0 or more
  double real = 0;

  static Number of(std::int64_t value);
  static Number of(std::uint64_t value);
  static Number of(double value);
  double rounded() const;
};
/// By value, exactly: 2^53 + 1 is above the double 2^53.
std::partial_ordering compare(const Number& a, const Number& b);

/// A value without owning it.
struct View {
  enum class Type { absent, boolean, number, text, compound };
  Type type = Type::absent;
  bool boolean = false;
  Number number;
  std::string_view text;
  const boost::json::value* compound = nullptr;  ///< a list or an object

  explicit operator bool() const { return type != Type::absent; }
};

/// What a view may point into, beside what is read.
struct Scratch {
  boost::json::value value;
  std::string text;
};

/// Null is absent.
View view_of(const boost::json::value& value);
View view_of(std::string_view text);
/// Of a JSON text: scalars without building anything. What is no JSON is absent.
View view_of_json(std::string_view json, Scratch& scratch);
boost::json::value value_of(const View& view);

/// Of one type and the same; lists by their elements in order, objects by their members in any order.
bool equal(const View& a, const View& b);
bool equal(const boost::json::value& a, const boost::json::value& b);

/// As keys have it: text as it is, numbers in their shortest form ("42", "0.1", "1e+30"), "true", "false".
/// False for anything else.
bool append_text(std::string& out, const View& view);

}  // namespace cx::condition
