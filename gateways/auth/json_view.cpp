#include "gateways/auth/json_view.hpp"

#include <cmath>

namespace cx::auth {

namespace dom = simdjson::dom;

std::optional<JsonObject> JsonObject::parse(std::string_view text) {
  JsonObject out;
  out.parser_ = std::make_shared<dom::parser>();
  if (out.parser_->allocate(text.size() + 1, 16)) return std::nullopt;
  // Copied behind its end is room for the parser to read past it.
  if (out.parser_->parse(text.data(), text.size(), true).get_object().get(out.object_)) return std::nullopt;
  return out;
}

simdjson::simdjson_result<dom::element> JsonObject::find(std::string_view name) const {
  auto found = object_.at_key(name);
  if (!found.error()) return found;
  auto within = object_;
  for (auto dot = name.find('.'); dot != name.npos; dot = name.find('.')) {
    if (within.at_key(name.substr(0, dot)).get_object().get(within)) return simdjson::NO_SUCH_FIELD;
    name.remove_prefix(dot + 1);
  }
  return within.at_key(name);
}

std::optional<std::string> JsonObject::text(std::string_view name) const {
  std::string_view value;
  if (find(name).get_string().get(value)) return std::nullopt;
  return std::string(value);
}

std::vector<std::string> JsonObject::texts(std::string_view name) const {
  if (auto one = text(name)) return {*std::move(one)};
  std::vector<std::string> out;
  dom::array list;
  if (find(name).get_array().get(list)) return out;
  for (const auto element : list)
    if (std::string_view value; !element.get_string().get(value)) out.emplace_back(value);
  return out;
}

std::optional<std::int64_t> JsonObject::time(std::string_view name) const {
  double seconds = 0;
  if (find(name).get_double().get(seconds) || !(seconds >= 0 && seconds <= 253'402'300'799.0))
    return std::nullopt;
  return static_cast<std::int64_t>(std::floor(seconds * 1000));
}

std::vector<JsonObject> JsonObject::objects(std::string_view name) const {
  std::vector<JsonObject> out;
  dom::array list;
  if (find(name).get_array().get(list)) return out;
  for (const auto element : list) {
    JsonObject one;
    one.parser_ = parser_;
    if (!element.get_object().get(one.object_)) out.push_back(std::move(one));
  }
  return out;
}

}  // namespace cx::auth
