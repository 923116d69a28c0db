#include "gateways/openapi/definitions.hpp"

#include <boost/json.hpp>

#include "gateways/openapi/schema.hpp"

namespace cx::openapi {
namespace {

constexpr std::string_view kComponents = "#/components/schemas/", kDefinitions = "#/$defs/";

/// Has references lead to where definitions are in a schema that stands for itself.
void lead_to_definitions(boost::json::value& in) {
  if (auto* list = in.if_array()) {
    for (auto& inner : *list) lead_to_definitions(inner);
  } else if (auto* object = in.if_object()) {
    for (auto& member : *object) {
      auto* text = member.key() == "$ref" ? member.value().if_string() : nullptr;
      if (text != nullptr && text->starts_with(kComponents))
        *text = std::string(kDefinitions) + std::string(text->subview(kComponents.size()));
      else
        lead_to_definitions(member.value());
    }
  }
}

std::string schema_of(const google::protobuf::Descriptor& type, const std::string& kind,
                      std::span<const Method> methods) {
  Schemas schemas(methods, Spelling::accepted);
  boost::json::value root = schemas.message(json::plan_of(type));
  auto& schema = root.as_object();
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = kind;
  schema["$defs"] = schemas.components();
  lead_to_definitions(root);
  return boost::json::serialize(root);
}

}  // namespace

std::vector<Document> definitions(std::span<const Method> methods) {
  std::vector<Document> pages;
  for (const auto& method : methods) {
    const auto& option = method.descriptor->options().GetExtension(v1::document);
    if (option.verb() != v1::DocumentMethod::PUT) continue;
    const auto* body = method.descriptor->input_type()->FindFieldByName(option.body());
    if (body == nullptr || body->message_type() == nullptr) continue;
    pages.push_back({"/schemas/" + option.kind() + ".json", "application/schema+json",
                     schema_of(*body->message_type(), option.kind(), methods), ""});
  }
  return pages;
}

}  // namespace cx::openapi
