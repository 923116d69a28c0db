#include "gateways/http/message.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <google/protobuf/field_mask.pb.h>

#include "gateways/json/codec.hpp"
#include "gateways/metadata.hpp"

namespace cx::http {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::FieldMask;
using google::protobuf::Message;

Error invalid(std::string type, std::string detail, std::string pointer = "") {
  return {Code::invalid_argument, std::move(type), std::move(detail), std::move(pointer)};
}

Error malformed_escape(std::string_view where) {
  return invalid(
      "malformed-escape",
      fmt::format("A '%' in the {} is not followed by two hexadecimal digits; write %25 for a percent "
                  "sign.",
                  where));
}

std::optional<Error> read_body(const Method& method, const std::string& body, Message& message) {
  if (method.body.empty()) {
    if (body.empty()) return std::nullopt;
    return invalid("unexpected-body",
                   fmt::format("{} {} takes no body; what it needs stands in the path and the query.",
                               method.verb, method.path));
  }
  if (method.body == "*") return json::parse(body, message);

  const auto& reflection = *message.GetReflection();
  const auto& type = *message.GetDescriptor();
  std::vector<std::string> mentioned;
  auto& part = *reflection.MutableMessage(&message, type.FindFieldByName(method.body));
  if (auto error = json::parse(body, part, {.present = &mentioned})) return error;
  const auto* mask = method.verb == "PATCH" ? type.FindFieldByName("update_mask") : nullptr;
  if (mask == nullptr || mask->message_type() != FieldMask::descriptor() || mask->is_repeated())
    return std::nullopt;
  auto& paths = static_cast<FieldMask&>(*reflection.MutableMessage(&message, mask));
  for (auto& path : mentioned) paths.add_paths(std::move(path));
  return std::nullopt;
}

std::optional<Error> read_path(const Route& route, const Values& values, Message& message) {
  std::string value;
  for (std::size_t i = 0; i < values.size; ++i) {
    const auto& name = route.variables[i];
    if (!percent_decode(values.values[i], false, value)) return malformed_escape("path");
    const bool whole = route.method->body == "*";
    const auto said = whole ? field_text(message, name) : std::string();
    if (auto error = json::set_field(message, name, value)) return error;
    if (whole && said != field_text(*route.method->request, name) && said != field_text(message, name))
      return invalid("path-mismatch",
                     fmt::format("The body and the path differ in {}; leave it out of the body.", name),
                     "/" + name);
  }
  return std::nullopt;
}

std::optional<Error> read_query(const Route& route, std::string_view query, Message& message) {
  const auto& method = *route.method;
  std::vector<std::string> seen;
  bool masked = false;
  std::string name, value;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    if (!percent_decode(pair.substr(0, equals), true, name) ||
        !percent_decode(pair.substr(std::min(equals + 1, pair.size())), true, value))
      return malformed_escape("query");
    const auto shown = name.substr(0, 100);
    if (method.body == "*")
      return invalid(
          "unexpected-query",
          fmt::format("{} {} takes no parameter '{}' in the query: its body holds the whole request.",
                      method.verb, method.path, shown));
    const auto of = [&name](std::string_view field) {
      if (field.empty()) return false;
      return name == field || (name.size() > field.size() && name.substr(0, field.size()) == field &&
                               name[field.size()] == '.');
    };
    if (of(method.body) ||
        std::any_of(route.variables.begin(), route.variables.end(), [&](const auto& v) { return name == v; }))
      return invalid("unexpected-query",
                     fmt::format("'{}' stands in the {}; leave it out of the query.", shown,
                                 of(method.body) ? "body" : "path"),
                     "/" + shown);
    const auto* field = message.GetDescriptor()->FindFieldByName(name);
    const bool list = field != nullptr && field->is_repeated();
    if (!list && std::find(seen.begin(), seen.end(), name) != seen.end())
      return invalid("duplicate-field", fmt::format("The query has '{}' twice; say it once.", shown),
                     "/" + shown);
    if (!list) seen.push_back(name);
    if (!masked && name == "update_mask" && field != nullptr) {
      message.GetReflection()->ClearField(&message,
                                          field);  // what the caller says, not what the body mentions
      masked = true;
    }
    if (auto error = json::set_field(message, name, value)) return error;
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Message>> read_request(const Route& route, const Values& values,
                                              std::string_view query, const Request& request) {
  const auto& method = *route.method;
  std::unique_ptr<Message> message(method.request->New());
  auto error = read_body(method, request.body, *message);
  if (!error) error = read_path(route, values, *message);
  if (!error) error = read_query(route, query, *message);
  if (!error) error = read_if_match(method, request.field(Field::if_match), *message);
  if (error) return *std::move(error);
  return message;
}

}  // namespace cx::http
