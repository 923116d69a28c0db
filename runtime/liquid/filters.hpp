#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/liquid/value.hpp"

namespace cx::liquid {

/// One call of a filter.
struct Call {
  Work& work;
  Value input;
  std::array<Value, 2> arguments = {};
  std::size_t count = 0;     ///< of arguments given
  bool allow_false = false;  ///< the argument of `default`
  std::int64_t now = 0;      ///< Unix time in milliseconds
  std::string problem;       ///< why there is no result; empty: there is one

  Value fail(std::string why) {
    problem = std::move(why);
    return {};
  }
  bool has(std::size_t argument) const { return argument < count; }
};

struct Filter {
  std::string_view name;
  std::size_t least = 0;  ///< arguments
  std::size_t most = 0;
  Value (*apply)(Call&) = nullptr;
  bool allows_false = false;
};

/// Null: there is none of that name.
const Filter* find_filter(std::string_view name);

/// The families of filters.
std::span<const Filter> text_filters();
std::span<const Filter> web_filters();
std::span<const Filter> array_filters();
std::span<const Filter> number_filters();
std::span<const Filter> other_filters();

}  // namespace cx::liquid
