#include "gateways/json/member.hpp"

#include <simdjson.h>

namespace cx::json {

std::optional<std::string> text_member(std::string& body, std::string_view name) {
  thread_local simdjson::ondemand::parser parser;
  body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  if (parser.iterate(body.data(), body.size(), body.size() + simdjson::SIMDJSON_PADDING).get(document) ||
      document.get_object().get(object))
    return std::nullopt;
  for (auto member : object) {
    simdjson::ondemand::field field;
    std::string_view key, text;
    if (std::move(member).get(field) || field.unescaped_key().get(key)) return std::nullopt;
    if (key != name) continue;
    if (field.value().get_string().get(text)) return std::nullopt;
    return std::string(text);
  }
  return std::nullopt;
}

}  // namespace cx::json
