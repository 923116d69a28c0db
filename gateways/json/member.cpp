#include "gateways/json/member.hpp"

#include <simdjson.h>

namespace cx::json {
namespace {

/// What `read` makes of the first member of that name; nothing where there is none.
template <class Read>
auto first_member(std::string& body, std::string_view name, Read read)
    -> decltype(read(std::declval<simdjson::ondemand::value>())) {
  thread_local simdjson::ondemand::parser parser;
  body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  if (parser.iterate(body.data(), body.size(), body.size() + simdjson::SIMDJSON_PADDING).get(document) ||
      document.get_object().get(object))
    return std::nullopt;
  for (auto member : object) {
    simdjson::ondemand::field field;
    std::string_view key;
    if (std::move(member).get(field) || field.unescaped_key().get(key)) return std::nullopt;
    if (key == name) return read(field.value());
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> text_member(std::string& body, std::string_view name) {
  return first_member(body, name, [](simdjson::ondemand::value value) {
    std::string_view text;
    return value.get_string().get(text) ? std::nullopt : std::optional(std::string(text));
  });
}

std::optional<std::int64_t> number_member(std::string& body, std::string_view name) {
  return first_member(body, name, [](simdjson::ondemand::value value) {
    std::int64_t number = 0;
    return value.get_int64().get(number) ? std::nullopt : std::optional(number);
  });
}

}  // namespace cx::json
