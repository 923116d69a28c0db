#include <cmath>
#include <google/protobuf/struct.pb.h>

#include "actors/condition/node.hpp"

namespace cx::condition {
namespace {

using google::protobuf::Value;
using Node = Condition::Node;
using Op = Node::Op;

constexpr int kMaxValueDepth = 20;
constexpr std::int64_t kMaxSeconds = 315'576'000'000;  // of a Duration

/// Compiles one tree. What is wrong is the error; the rest then goes unseen.
class Compiler {
 public:
  explicit Compiler(Roots allowed) : allowed_(allowed) {}

  Result<Node> node(const v1::Condition& from, const std::string& pointer, int depth) {
    if (depth > Condition::kMaxDepth)
      return wrong("Conditions are nested more than 20 deep. Write a flatter one.", pointer);
    if (++nodes_ > Condition::kMaxNodes)
      return wrong("The condition has more than 500 parts. Use one_of for lists of values.", pointer);
    const int groups = int{from.all_size() > 0} + int{from.any_size() > 0} + int{from.has_not_()};
    const auto operators = operators_of(from);
    if (groups + int{!from.field().empty() || !operators.empty()} != 1)
      return wrong(groups == 0
                       ? "The condition is empty: it needs all, any or not with conditions in it, or a field "
                         "with an operator."
                       : "A condition has just one of all, any, not, and a test of a field.",
                   pointer);
    if (groups == 1) return group(from, pointer, depth);
    if (from.field().empty())
      return wrong("The operator " + operators.front() + " has no field to test: add \"field\".", pointer);
    if (operators.size() != 1)
      return wrong(operators.empty()
                       ? "The test of " + from.field() + " has no operator: add for instance \"equals\"."
                       : "The test of " + from.field() + " has two operators, " + operators[0] + " and " +
                             operators[1] + ": put each into a condition of its own in all.",
                   pointer);
    return test(from, operators.front(), pointer);
  }

 private:
  static Error wrong(std::string detail, std::string pointer) {
    return {Code::invalid_argument, "invalid-condition", std::move(detail), std::move(pointer)};
  }

  static std::vector<std::string> operators_of(const v1::Condition& from) {
    std::vector<std::string> out;
    const auto* reflection = from.GetReflection();
    const auto* type = from.GetDescriptor();
    for (int i = 0; i < type->field_count(); ++i) {
      const auto* field = type->field(i);
      if (field->number() >= v1::Condition::kExistsFieldNumber && reflection->HasField(from, field))
        out.push_back(field->name());
    }
    return out;
  }

  Result<Node> group(const v1::Condition& from, const std::string& pointer, int depth) {
    Node out;
    if (from.has_not_()) {
      out.op = Op::negation;
      auto child = node(from.not_(), pointer + "/not", depth + 1);
      if (!child) return child.error();
      out.children.push_back(std::move(*child));
      return out;
    }
    out.op = from.all_size() > 0 ? Op::all : Op::any;
    const auto& list = from.all_size() > 0 ? from.all() : from.any();
    const std::string name = from.all_size() > 0 ? "/all/" : "/any/";
    for (int i = 0; i < list.size(); ++i) {
      auto child = node(list[i], pointer + name + std::to_string(i), depth + 1);
      if (!child) return child.error();
      out.children.push_back(std::move(*child));
    }
    return out;
  }

  Result<Node> test(const v1::Condition& from, const std::string& name, const std::string& pointer) {
    auto field = Field::parse(from.field(), allowed_, pointer + "/field");
    if (!field) return field.error();
    Node out;
    out.field = field->path();
    const auto at = pointer + "/" + name;
    std::optional<Error> error;
    if (from.has_exists()) {
      out.op = Op::exists;
      out.flag = from.exists();
    } else if (from.has_equals()) {
      error = operand(out, Op::equals, from.equals(), at);
    } else if (from.has_not_equals()) {
      error = operand(out, Op::not_equals, from.not_equals(), at);
    } else if (from.has_above()) {
      error = ordered(out, Op::above, from.above(), at);
    } else if (from.has_at_least()) {
      error = ordered(out, Op::at_least, from.at_least(), at);
    } else if (from.has_below()) {
      error = ordered(out, Op::below, from.below(), at);
    } else if (from.has_at_most()) {
      error = ordered(out, Op::at_most, from.at_most(), at);
    } else if (from.has_one_of()) {
      error = one_of(out, from.one_of(), at);
    } else if (from.has_contains()) {
      error = operand(out, Op::contains, from.contains(), at);
    } else if (from.has_starts_with()) {
      error = text(out, Op::starts_with, from.starts_with(), at);
    } else if (from.has_ends_with()) {
      error = text(out, Op::ends_with, from.ends_with(), at);
    } else if (from.has_within_last()) {
      error = span(out, Op::within_last, from.within_last(), at);
    } else if (from.has_before_last()) {
      error = span(out, Op::before_last, from.before_last(), at);
    } else {
      out.op = Op::equals_field;
      auto other = Field::parse(from.equals_field(), allowed_, at);
      if (!other) return other.error();
      out.other = other->path();
    }
    if (error) return *error;
    return out;
  }

  static std::optional<Error> operand(Node& out, Op op, const Value& value, const std::string& at) {
    out.op = op;
    if (value.kind_case() == Value::kNullValue)
      return wrong("Nothing equals null, which is as good as absent: use {\"exists\": false}.", at);
    return take(value, out.operand, at, 0);
  }

  static std::optional<Error> ordered(Node& out, Op op, const Value& value, const std::string& at) {
    if (value.kind_case() != Value::kNumberValue && value.kind_case() != Value::kStringValue)
      return wrong("Only numbers, times and texts have an order: give one of them.", at);
    if (value.kind_case() == Value::kStringValue) out.time = parse_time(value.string_value());
    return operand(out, op, value, at);
  }

  static std::optional<Error> one_of(Node& out, const google::protobuf::ListValue& list,
                                     const std::string& at) {
    out.op = Op::one_of;
    if (list.values_size() == 0 || list.values_size() > 1000)
      return wrong("one_of needs 1 to 1,000 values, and has " + std::to_string(list.values_size()) + ".", at);
    auto& values = out.operand.emplace_array();
    for (int i = 0; i < list.values_size(); ++i) {
      Node one;
      if (auto error = operand(one, Op::equals, list.values(i), at + "/" + std::to_string(i))) return error;
      values.push_back(std::move(one.operand));
    }
    return std::nullopt;
  }

  static std::optional<Error> text(Node& out, Op op, const std::string& text, const std::string& at) {
    out.op = op;
    if (text.empty())
      return wrong("Every text starts and ends with the empty one: give at least a character.", at);
    out.operand = text;
    return std::nullopt;
  }

  static std::optional<Error> span(Node& out, Op op, const google::protobuf::Duration& span,
                                   const std::string& at) {
    out.op = op;
    const bool positive =
        span.seconds() >= 0 && span.nanos() >= 0 && (span.seconds() > 0 || span.nanos() > 0);
    if (!positive || span.seconds() > kMaxSeconds || span.nanos() > 999'999'999)
      return wrong("A span of time is above zero, at most 10,000 years: \"86400s\" is a day.", at);
    out.span = {span.seconds(), span.nanos()};
    return std::nullopt;
  }

  static std::optional<Error> take(const Value& from, boost::json::value& into, const std::string& at,
                                   int depth) {
    if (depth > kMaxValueDepth) return wrong("The value is nested more than 20 deep.", at);
    switch (from.kind_case()) {
      case Value::kNullValue:
        into = nullptr;
        return std::nullopt;
      case Value::kNumberValue:
        if (!std::isfinite(from.number_value())) return wrong("The value is no number that JSON has.", at);
        into = from.number_value();
        return std::nullopt;
      case Value::kStringValue:
        into = from.string_value();
        return std::nullopt;
      case Value::kBoolValue:
        into = from.bool_value();
        return std::nullopt;
      case Value::kListValue: {
        auto& list = into.emplace_array();
        for (const auto& value : from.list_value().values())
          if (auto error = take(value, list.emplace_back(nullptr), at, depth + 1)) return error;
        return std::nullopt;
      }
      case Value::kStructValue: {
        auto& object = into.emplace_object();
        for (const auto& [name, value] : from.struct_value().fields())
          if (auto error = take(value, object[name], at, depth + 1)) return error;
        return std::nullopt;
      }
      case Value::KIND_NOT_SET:
        break;
    }
    return wrong("The value is missing.", at);
  }

  const Roots allowed_;
  int nodes_ = 0;
};

}  // namespace

Result<Condition> Condition::compile(const v1::Condition& condition, Roots allowed,
                                     const std::string& pointer) {
  auto root = Compiler(allowed).node(condition, pointer, 1);
  if (!root) return root.error();
  Condition out;
  out.root_ = std::make_shared<const Node>(std::move(*root));
  return out;
}

}  // namespace cx::condition
