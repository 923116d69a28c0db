#include "runtime/liquid/property.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "runtime/liquid/text.hpp"

namespace cx::liquid {
namespace {

std::optional<std::int64_t> index_of(const Value& name) {
  if (const auto* whole = name.as<std::int64_t>()) return *whole;
  const auto* real = name.as<double>();
  if (real && *real > -9e18 && *real < 9e18) return static_cast<std::int64_t>(*real);
  return std::nullopt;
}

Property impossible(Call& call, const Value& item, const Value& name) {
  std::string shown;
  append_inspected(shown, name, call.work);
  call.fail(fmt::format("{} has no property {}", type_name(item), shown.substr(0, 80)));
  return {Property::Is::impossible, {}};
}

Value character(std::string_view text, std::int64_t index) {
  const auto size = static_cast<std::int64_t>(count_characters(text));
  if (index < 0) index += size;
  if (index < 0 || index >= size) return {};
  const auto at = text.substr(offset_of(text, static_cast<std::size_t>(index)));
  return Value::made(std::string(at.substr(0, character_bytes(at))));
}

}  // namespace

bool has_properties(const Value& item) {
  return item.object() || item.as<Text>() || item.as<std::int64_t>() || item.loop();
}

Property property(Call& call, const Value& item, const Value& name) {
  const auto* key = name.as<Text>();
  call.work.bytes(16);
  if (const auto* object = item.object()) {
    const auto* member = key ? object->if_contains(key->view) : nullptr;
    return {Property::Is::found, member ? Value(*member) : Value()};
  }
  if (const auto* text = item.as<Text>()) {
    if (name.nil()) return {Property::Is::unnamed, {}};
    if (!call.work.bytes(text->view.size())) return {};
    if (key)
      return {Property::Is::found, find(text->view, key->view) == std::string_view::npos ? Value() : name};
    const auto index = index_of(name);
    return index ? Property{Property::Is::found, character(text->view, *index)}
                 : impossible(call, item, name);
  }
  if (const auto* whole = item.as<std::int64_t>()) {
    const auto bit = index_of(name);
    if (!bit) return impossible(call, item, name);
    const auto value = *bit < 0 ? 0 : *whole >> std::min<std::int64_t>(*bit, 63) & 1;
    return {Property::Is::found, Value(std::int64_t{value})};
  }
  if (const auto* loop = item.loop())
    return {Property::Is::found, key ? loop->attribute(key->view).value_or(Value()) : Value()};
  return {Property::Is::untyped, {}};
}

}  // namespace cx::liquid
