#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cx/v1/condition.pb.h"
#include "cx/v1/customer.pb.h"
#include "runtime/error.hpp"

namespace cx::condition {

/// What a condition is asked of. What is null has no fields.
struct Subject {
  const v1::Person* person = nullptr;           ///< traits.*, events.*
  const boost::json::object* event = nullptr;   ///< event.*: "name", "properties", "context", "timestamp"
  const boost::json::object* memory = nullptr;  ///< memory.*
  std::string_view key;                         ///< key; empty: absent
  std::int64_t now = 0;                         ///< Unix milliseconds
};

/// Which of a Subject's parts a condition may ask for.
struct Roots {
  bool person = true, event = true, memory = true, key = true;
};

/// A field by its name, "event.properties.cart_id". Immutable; thread-safe.
class Field {
 public:
  /// `pointer`: where the name stands, for errors: invalid_argument "invalid-field".
  static Result<Field> parse(std::string_view name, Roots allowed, const std::string& pointer);
  /// None where it is absent, or null.
  std::optional<boost::json::value> of(const Subject& subject) const;
  /// As text, for keys: a string as it is, a number in its shortest form or a truth value as JSON writes it;
  /// none for anything else.
  std::optional<std::string> text_of(const Subject& subject) const;
  /// The name that it was parsed from.
  const std::string& name() const;

  struct Path;  ///< see field.hpp
  const std::shared_ptr<const Path>& path() const { return path_; }

 private:
  explicit Field(std::shared_ptr<const Path> path);
  std::shared_ptr<const Path> path_;
};

/// A condition, checked and made ready. Immutable; thread-safe.
class Condition {
 public:
  static constexpr int kMaxDepth = 20;
  static constexpr int kMaxNodes = 500;

  /// Holds always.
  Condition() = default;
  /// Errors: invalid_argument "invalid-condition" or "invalid-field", with a pointer below `pointer`.
  static Result<Condition> compile(const v1::Condition& condition, Roots allowed, const std::string& pointer);
  bool holds(const Subject& subject) const;
  /// In words, without the values that it compares with: "traits.plan equals, traits.age is at least". At
  /// most 120 bytes; empty where it holds always.
  std::string summary() const;

  struct Node;  ///< see node.hpp

 private:
  std::shared_ptr<const Node> root_;
};

}  // namespace cx::condition
