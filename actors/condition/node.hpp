#pragma once

// The inside of a Condition; for actors/condition/*.cpp only.

#include <optional>
#include <string>
#include <vector>

#include "actors/condition/condition.hpp"
#include "actors/condition/field.hpp"
#include "actors/condition/time.hpp"
#include "actors/condition/value.hpp"

namespace cx::condition {

struct Condition::Node {
  enum class Op {
    all,
    any,
    negation,
    exists,
    equals,
    not_equals,
    above,
    at_least,
    below,
    at_most,
    one_of,
    contains,
    starts_with,
    ends_with,
    within_last,
    before_last,
    equals_field
  };
  Op op = Op::all;
  std::vector<Node> children;  ///< of all, any; one of negation

  // Of a test.
  std::shared_ptr<const Field::Path> field, other;  ///< `other`: of equals_field
  boost::json::value operand;                       ///< a list of one_of
  std::optional<Instant> time;                      ///< that `operand` is
  bool flag = false;                                ///< of exists
  Instant span;                                     ///< of within_last and before_last

  bool holds(const Subject& subject) const;
  void describe(std::string& out) const;

 private:
  bool test(const Subject& subject) const;
  bool ordered(const View& view) const;
  bool recent(const View& view, std::int64_t now) const;
};

}  // namespace cx::condition
