#pragma once

// Internal to this folder: includes simdjson.

#include <algorithm>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

namespace cx::intake {

/// Reads values off simdjson's On-Demand parser, which checks only what is read, so that nothing is left
/// unchecked: no ill-formed number, escape or UTF-8, no name twice in an object, no number beyond a double's
/// range, nothing too deep. Each value is read once at most: the parser has room to unescape a string once.
/// Functions that return bool return false after setting the error.
class StrictReader {
 public:
  using Value = simdjson::ondemand::value;
  using Object = simdjson::ondemand::object;
  using Type = simdjson::ondemand::json_type;

  explicit StrictReader(int most_depth) : most_depth_(most_depth) {}

  /// The first thing that was wrong; its pointer leads there from where the reading began.
  Error take_error() { return std::move(error_); }

  bool type_of(Value& value, Type& out) {
    const auto code = value.type().get(out);
    return !code || malformed(code);
  }

  /// A string, unescaped. The view is good until the next document.
  bool text(Value& value, std::string_view& out);
  /// The text of a number, in the document.
  bool number(Value& value, std::string_view& out);
  bool null(Value& value);
  /// Reads a value of any type, and appends it to `out` without white space: numbers and strings as they are
  /// spelt. `depth`: how many objects and lists are around it.
  bool copy(Value value, std::string& out, int depth);

  /// Calls `each(name, value)` with the members of an object that is the `depth`th, itself included. Where
  /// that fails the member's name goes before the error's pointer.
  template <class Each>
  bool members(Object& object, int depth, const Each& each) {
    if (depth > most_depth_) return too_deep();
    const auto first = names_.size();
    for (auto member : object) {
      simdjson::ondemand::field field;
      if (const auto code = std::move(member).get(field)) return malformed(code);
      std::string_view name;
      if (const auto code = field.unescaped_key().get(name)) return malformed(code);
      if (!utf8(name)) return false;
      names_.push_back(name);
      if (!each(name, field.value())) return within(name);
    }
    return distinct(first);
  }
  bool members(Value& value, int depth, const auto& each) {
    Object object;
    if (const auto code = value.get_object().get(object)) return malformed(code);
    return members(object, depth, each);
  }

  bool fail(std::string type, std::string detail) {
    error_ = {Code::invalid_argument, std::move(type), std::move(detail), ""};
    return false;
  }
  bool malformed(simdjson::error_code code);
  /// Puts a name before the error's pointer; false.
  bool within(std::string_view name);
  /// Forgets the document before.
  void reset() {
    names_.clear();
    error_ = {};
  }

 private:
  bool too_deep();
  bool utf8(std::string_view text);
  bool distinct(std::size_t first);

  const int most_depth_;
  Error error_;
  std::vector<std::string_view> names_;  // of the objects that are open
};

}  // namespace cx::intake
