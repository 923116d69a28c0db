#pragma once

#include <cstdint>
#include <google/protobuf/descriptor.h>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

/// What reading, printing and checking a type needs, worked out once per type from its descriptor and
/// options.
namespace cx::json {

struct Plan;

/// What a message looks like in JSON.
enum class Shape {
  object,
  timestamp,   ///< "2026-01-31T08:30:00Z"
  duration,    ///< "1.5s"
  field_mask,  ///< "name,budget.limit"
  wrapper,     ///< as its field `value`
  any,         ///< an object with @type
  structure,   ///< google.protobuf.Struct: any object
  value,       ///< google.protobuf.Value: anything
  list_value,  ///< any array
};

struct EnumPlan {
  const google::protobuf::EnumDescriptor* descriptor = nullptr;
  /// By name in lower case, with and without the prefix that all names share; ambiguous ones are missing.
  std::unordered_map<std::string, int> folded;

  /// Full name, or a folded one in any case; null if there is no such value.
  const google::protobuf::EnumValueDescriptor* find(std::string_view name) const;
};

struct FieldPlan {
  const google::protobuf::FieldDescriptor* descriptor = nullptr;
  std::string label;              ///< "name":
  const Plan* message = nullptr;  ///< of message fields; of a map its entry, with fields key and value
  const EnumPlan* enumeration = nullptr;  ///< of enum fields
  bool map = false;
  bool list = false;  ///< repeated and not a map
  bool presence = false;
  bool internal = false;
  bool output_only = false;
  bool secret = false;
  bool pii = false;
  bool required = false;
  bool generated = false;
  bool name = false;
  std::optional<std::pair<std::int64_t, std::int64_t>> range;
  std::vector<std::string> one_of;
  std::uint32_t max_length = 0;  ///< 0: no limit
  std::uint32_t max_items = 0;   ///< 0: no limit
  bool rules = false;            ///< validate() has something to check in the field itself

  bool masked() const { return secret || pii; }
};

struct Plan {
  const google::protobuf::Descriptor* descriptor = nullptr;
  Shape shape = Shape::object;
  std::vector<FieldPlan> fields;                                   ///< in order of declaration
  std::unordered_map<std::string_view, const FieldPlan*> by_name;  ///< both spellings
  // Whether there is something to do in the type or in what it holds; an Any may hold anything.
  bool has_rules = false;
  bool has_internal = false;
  bool has_output_only = false;
  bool has_generated = false;

  /// By either spelling; null if there is none that callers may know of.
  const FieldPlan* find(std::string_view name) const;
  /// "did you mean x?", or else which fields there are.
  std::string suggest(std::string_view name) const;
};

/// The plan of a type, which must live as long as the process, as must what is returned. Made at the first
/// call, with the plans of all that the type holds; thread-safe, without a lock after that.
const Plan& plan_of(const google::protobuf::Descriptor& type);

}  // namespace cx::json
