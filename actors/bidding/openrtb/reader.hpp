#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

/// Reads typed fields out of JSON and remembers where the first one was wrong.
namespace cx::openrtb {

/// Where a value stands: a chain through the callers' stack frames, rendered only for a complaint.
class Path {
 public:
  Path() = default;  ///< the root
  Path(const Path& parent, std::string_view key) : parent_(&parent), key_(key) {}
  Path(const Path& parent, std::size_t index) : parent_(&parent), index_(index) {}

  std::string dotted() const;   ///< imp[0].banner.h
  std::string pointer() const;  ///< /imp/0/banner/h (RFC 6901; our keys need no escaping)

 private:
  const Path* parent_ = nullptr;
  std::string_view key_;  ///< empty in an array
  std::size_t index_ = 0;
};

/// A value and its place. A member that is missing or null has no element; a null in an array is an element.
struct Value {
  Path path;
  std::optional<simdjson::dom::element> element;

  bool absent() const { return !element; }
};

/// The members of a JSON object that Keys, an array of names, lists. The last of duplicates counts. Names
/// that are not in Keys do not compile.
template <const auto& Keys>
class Object {
 public:
  struct Name {
    consteval Name(const char* key) : index(position(key)) {
      if (index == Keys.size()) throw "not one of the object's keys";
    }
    std::size_t index;
  };

  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  /// `path` is copied, but its ancestors must stay where they are.
  void fill(simdjson::dom::object object, const Path& path) {
    path_ = path;
    for (const auto [key, value] : object) {
      const std::size_t index = position(key);
      if (index == Keys.size()) continue;
      if (value.is_null()) {
        members_[index].reset();
      } else {
        members_[index] = value;
      }
    }
  }

  const Path& path() const { return path_; }
  /// Valid while this object is.
  Value operator[](Name name) const { return {Path(path_, Keys[name.index]), members_[name.index]}; }

 private:
  static constexpr std::size_t position(std::string_view key) {
    return static_cast<std::size_t>(std::find(Keys.begin(), Keys.end(), key) - Keys.begin());
  }

  Path path_;
  std::array<std::optional<simdjson::dom::element>, Keys.size()> members_;
};

/// Readers return whether all is well, so that they chain with &&; after the first false, `take_error` says
/// why. They overwrite `out` in any case, with a default when the value is absent.
class Reader {
 public:
  /// The first complaint, if there was one.
  std::optional<Error> take_error() { return std::move(error_); }

 protected:
  static constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::min();

  /// Complains that `value` is not what it must be: "imp[0].id is empty; it must be a non-empty string."
  bool refuse(const Value& value, std::string_view must_be);
  bool refuse(const Path& path, std::string detail);

  template <const auto& Keys>
  bool open(const Value& value, Object<Keys>& out) {
    simdjson::dom::object object;
    if (value.absent() || value.element->get(object)) return refuse(value, "an object");
    out.fill(object, value.path);
    return true;
  }

  /// Calls `read` with every element of an array until it returns false; an absent array has none.
  template <class Read>
  bool each(const Value& value, Read read) {
    if (value.absent()) return true;
    simdjson::dom::array array;
    if (value.element->get(array)) return refuse(value, "an array");
    std::size_t index = 0;
    for (const auto element : array) {
      if (!read(Value{Path(value.path, index++), element})) return false;
    }
    return true;
  }

  /// An integer of at least `low`, clamped to the range of T. 160.0 is one, too.
  template <class T>
  bool integer(const Value& value, T& out, std::int64_t low = kAny, T absent = 0) {
    std::int64_t wide = absent;
    const bool good = value.absent() || integer64(value, low, wide);
    out = static_cast<T>(
        std::clamp<std::int64_t>(wide, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    return good;
  }
  template <class T>
  bool count(const Value& value, T& out) {
    return integer(value, out, 0);
  }
  bool flag(const Value& value, bool& out);    ///< an integer; true unless 0 or absent
  bool binary(const Value& value, bool& out);  ///< 0 or 1
  bool text(const Value& value, std::string_view& out, std::string_view absent = {});
  bool identifier(const Value& value, std::string_view& out);  ///< a string that is there and not empty
  bool integers(const Value& value, std::vector<int>& out, std::int64_t low = kAny);
  bool texts(const Value& value, std::vector<std::string_view>& out);
  /// A price of 0 or more in currency units, as micros: rounded up, so that a bid of it is not below it, and
  /// clamped.
  bool micros(const Value& value, std::int64_t& out);
  /// A field that is not used any further: refused when it is a negative number, whatever else it is.
  bool not_negative(const Value& value);

 private:
  bool integer64(const Value& value, std::int64_t low, std::int64_t& out);

  std::optional<Error> error_;
};

}  // namespace cx::openrtb
