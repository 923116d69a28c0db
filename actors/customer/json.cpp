#include "actors/customer/json.hpp"

#include <cmath>
#include <fmt/format.h>
#include <iterator>
#include <map>
#include <simdjson.h>
#include <utility>

#include "runtime/json.hpp"

namespace cx {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
namespace dom = simdjson::dom;

constexpr std::size_t kMostBytes = 4 << 20;
constexpr std::size_t kDepth = 64;

// One a thread: it keeps its buffers. What it gives is good until the next text.
dom::parser& parser() {
  thread_local dom::parser all(kMostBytes);
  return all;
}

bool parse(std::string_view json, dom::element& out) {
  auto& all = parser();
  if (all.max_depth() != kDepth && all.allocate(json.size() + 1, kDepth) != simdjson::SUCCESS) return false;
  return all.parse(json.data(), json.size()).get(out) == simdjson::SUCCESS;
}

void set(Value& out, dom::element element) {
  switch (element.type()) {
    case dom::element_type::ARRAY: {
      auto& list = *out.mutable_list_value();
      for (const auto one : dom::array(element)) set(*list.add_values(), one);
      break;
    }
    case dom::element_type::OBJECT: {
      auto& fields = *out.mutable_struct_value()->mutable_fields();
      for (const auto& [name, value] : dom::object(element)) set(fields[std::string(name)], value);
      break;
    }
    case dom::element_type::STRING:
      out.set_string_value(std::string(std::string_view(element)));
      break;
    case dom::element_type::BOOL:
      out.set_bool_value(bool(element));
      break;
    case dom::element_type::NULL_VALUE:
      out.set_null_value(google::protobuf::NULL_VALUE);
      break;
    default:
      out.set_number_value(double(element));
  }
}

void append(std::string& out, const Value& value) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      if (std::isfinite(value.number_value()))
        fmt::format_to(std::back_inserter(out), "{}", value.number_value());
      else
        out += "null";
      break;
    case Value::kStringValue:
      append_json(out, value.string_value());
      break;
    case Value::kBoolValue:
      out += value.bool_value() ? "true" : "false";
      break;
    case Value::kStructValue:
      append_json(out, value.struct_value());
      break;
    case Value::kListValue: {
      out += '[';
      for (bool first = true; const auto& one : value.list_value().values()) {
        if (!std::exchange(first, false)) out += ',';
        append(out, one);
      }
      out += ']';
      break;
    }
    default:
      out += "null";
  }
}

}  // namespace

bool members_of(std::string_view json,
                const std::function<void(std::string_view name, std::string value)>& visit) {
  dom::element root;
  dom::object object;
  if (!parse(json, root) || root.get(object) != simdjson::SUCCESS) return false;
  for (const auto& [name, value] : object) visit(name, simdjson::minify(value));
  return true;
}

std::string text_of_json(std::string_view json) {
  dom::element root;
  std::string_view text;
  if (!json.starts_with('"') || !parse(json, root) || root.get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

std::string text_member(std::string_view json, std::string_view name) {
  dom::element root;
  std::string_view text;
  if (json.find(name) == json.npos || !parse(json, root) || root[name].get(text) != simdjson::SUCCESS)
    return {};
  return std::string(text);
}

bool to_value(std::string_view json, Value& out) {
  dom::element root;
  out.set_null_value(google::protobuf::NULL_VALUE);
  if (!parse(json, root)) return false;
  set(out, root);
  return true;
}

bool to_struct(std::string_view json, Struct& out) {
  Value value;
  if (!to_value(json, value) || !value.has_struct_value()) return false;
  out.Swap(value.mutable_struct_value());
  return true;
}

void append_json(std::string& out, const Struct& object) {
  std::map<std::string_view, const Value*> fields;
  for (const auto& [name, value] : object.fields()) fields.emplace(name, &value);
  out += '{';
  for (bool first = true; const auto& [name, value] : fields) {
    if (!std::exchange(first, false)) out += ',';
    append_json(out, name);
    out += ':';
    append(out, *value);
  }
  out += '}';
}

}  // namespace cx
