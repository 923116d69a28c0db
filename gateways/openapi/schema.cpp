#include "gateways/openapi/schema.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "messages/contract.hpp"

namespace cx::openapi {
namespace {

using boost::json::array;
using boost::json::object;
using google::protobuf::FieldDescriptor;
using json::EnumPlan;
using json::FieldPlan;
using json::Plan;
using json::Shape;

constexpr std::string_view kPackage = "cx.v1.";

std::string component_name(std::string_view full_name) {
  if (full_name.substr(0, kPackage.size()) == kPackage) full_name.remove_prefix(kPackage.size());
  return std::string(full_name);
}

/// The one text in quotes that a comment has, as in: By this actor: "user/ana".
std::string quoted_example(std::string_view comment) {
  const auto begin = comment.find('"');
  const auto end = begin == comment.npos ? begin : comment.find('"', begin + 1);
  if (end == comment.npos || comment.find('"', end + 1) != comment.npos) return {};
  return std::string(comment.substr(begin + 1, end - begin - 1));
}

/// What a name must be (runtime/address.hpp), or also nothing.
std::string name_pattern(bool required) {
  return required ? "^[a-z0-9-]{1,63}$" : "^[a-z0-9-]{0,63}$";
}

object string_element(const FieldPlan& field) {
  object out{{"type", "string"}};
  if (!field.one_of.empty()) {
    array words(field.one_of.begin(), field.one_of.end());
    if (!field.required && !field.list) words.emplace_back("");
    out["enum"] = std::move(words);
    return out;
  }
  if (field.name) out["pattern"] = name_pattern(field.required || field.list);
  if (field.required && !field.name && !field.list) out["minLength"] = 1;
  if (field.max_length > 0) out["maxLength"] = field.max_length;
  if (field.secret) out["format"] = "password";
  if (const auto example = quoted_example(doc_of(*field.descriptor)); !example.empty())
    out["examples"] = array{example};
  return out;
}

template <class Int>
object integer_element(const FieldPlan& field, const char* format) {
  using Limits = std::numeric_limits<Int>;
  object out{{"type", "integer"}, {"format", format}};
  constexpr bool kWide = sizeof(Int) == 8;
  if (kWide) {
    out["type"] = array{"string", "integer"};
    const bool negative = Limits::is_signed && (!field.range || field.range->first < 0);
    out["pattern"] = negative ? "^(0|-?[1-9][0-9]{0,18})$" : "^(0|[1-9][0-9]{0,19})$";
  } else {
    out["minimum"] = Limits::min();
    out["maximum"] = Limits::max();
  }
  if (field.range) {
    out["minimum"] = field.range->first;
    out["maximum"] = field.range->second;
  } else if (!Limits::is_signed) {
    out["minimum"] = field.required ? 1 : 0;
  }
  return out;
}

object scalar_element(const FieldPlan& field) {
  switch (field.descriptor->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return integer_element<std::int32_t>(field, "int32");
    case FieldDescriptor::CPPTYPE_UINT32:
      return integer_element<std::uint32_t>(field, "uint32");
    case FieldDescriptor::CPPTYPE_INT64:
      return integer_element<std::int64_t>(field, "int64");
    case FieldDescriptor::CPPTYPE_UINT64:
      return integer_element<std::uint64_t>(field, "uint64");
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return {{"type", "number"}, {"format", "double"}};
    case FieldDescriptor::CPPTYPE_FLOAT:
      return {{"type", "number"}, {"format", "float"}};
    case FieldDescriptor::CPPTYPE_BOOL:
      return {{"type", "boolean"}};
    default:
      break;
  }
  if (field.descriptor->type() == FieldDescriptor::TYPE_BYTES)
    return {{"type", "string"}, {"contentEncoding", "base64"}};
  return string_element(field);
}

/// Of the types whose JSON is not an object of their fields; empty for any other.
object well_known(const Plan& type) {
  switch (type.shape) {
    case Shape::timestamp:
      return {{"type", "string"}, {"format", "date-time"}, {"examples", array{"2026-01-31T08:30:00Z"}}};
    case Shape::duration:
      return {
          {"type", "string"}, {"pattern", "^-?[0-9]{1,12}([.][0-9]{1,9})?s$"}, {"examples", array{"1.5s"}}};
    case Shape::field_mask:
      return {{"type", "string"},
              {"description", "Fields joined by commas; those of a field by a dot."},
              {"examples", array{"name,budget.micros"}}};
    case Shape::any: {
      object kind{{"type", "string"},
                  {"description", "Which message of the contract it is."},
                  {"examples", array{"type.googleapis.com/cx.v1.CampaignState"}}};
      return {{"type", "object"},
              {"description", "A message of the contract: its fields, and its name."},
              {"properties", object{{"@type", std::move(kind)}}}};
    }
    case Shape::structure:
      return {{"type", "object"}};
    case Shape::list_value:
      return {{"type", "array"}, {"items", object{}}};
    case Shape::wrapper:
      return scalar_element(type.fields.front());
    case Shape::value:
    case Shape::object:
      break;
  }
  return {};
}

/// Whether a reply has the field whatever is in it (gateways/json/codec.hpp).
bool always_printed(const FieldPlan& field) {
  return field.map || field.list || !field.presence;
}

/// No two fields of one oneof.
array oneof_pairs(const Plan& type) {
  array pairs;
  for (int i = 0; i < type.descriptor->real_oneof_decl_count(); ++i) {
    const auto& choice = *type.descriptor->oneof_decl(i);
    for (int a = 0; a < choice.field_count(); ++a)
      for (int b = a + 1; b < choice.field_count(); ++b)
        pairs.push_back(object{{"required", array{choice.field(a)->name(), choice.field(b)->name()}}});
  }
  return pairs;
}

}  // namespace

std::string doc_of(const google::protobuf::Descriptor& type) {
  const auto* known = contract().FindMessageTypeByName(type.full_name());
  return known == nullptr ? "" : doc(*known);
}

std::string doc_of(const FieldDescriptor& field) {
  const auto* known = contract().FindFieldByName(field.full_name());
  return known == nullptr ? "" : doc(*known);
}

std::string doc_of(const google::protobuf::MethodDescriptor& method) {
  const auto* known = contract().FindMethodByName(method.full_name());
  return known == nullptr ? "" : doc(*known);
}

std::string doc_of(const google::protobuf::ServiceDescriptor& service) {
  const auto* known = contract().FindServiceByName(service.full_name());
  return known == nullptr ? "" : doc(*known);
}

std::string_view conventional(std::string_view field_name) {
  static constexpr std::pair<std::string_view, std::string_view> kMeanings[] = {
      {"comment", "Why, for the record."},
      {"created_at", "When it was created."},
      {"created_by", "Who created it."},
      {"description", "For people who read it."},
      {"display_name", "What people call it."},
      {"email", "E-mail address."},
      {"etag", "Changes whenever the rest does; compare for equality only."},
      {"expires_at", "Until when it is good; absent if it does not expire."},
      {"if_match",
       "The ETag of what is meant, which is refused if it has changed since. Empty: whatever it is now."},
      {"next_page_token", "The `page_token` of the next page; empty on the last one."},
      {"page_size", "Elements of a page; 0 for 50."},
      {"page_token",
       "`next_page_token` of the page before, with the same filters; empty for the first page."},
      {"roles", "Names of roles."},
      {"tenant", "Name of the tenant."},
      {"updated_at", "When it was last changed."},
      {"updated_by", "Who changed it last."},
  };
  for (const auto& [name, meaning] : kMeanings)
    if (name == field_name) return meaning;
  return {};
}

std::string first_sentence(std::string_view text) {
  for (auto at = text.find(". "); at != text.npos; at = text.find(". ", at + 1)) {
    const char next = at + 2 < text.size() ? text[at + 2] : 'A';
    if (next >= 'A' && next <= 'Z') return std::string(text.substr(0, at));
  }
  if (text.ends_with('.')) text.remove_suffix(1);
  return std::string(text);
}

Schemas::Schemas(std::span<const Method> methods, Spelling spelling) : spelling_(spelling) {
  for (const auto& method : methods) {
    if (method.is_raw) continue;
    reach(json::plan_of(*method.request->GetDescriptor()), in_requests_);
    reach(json::plan_of(*method.reply->GetDescriptor()), in_replies_);
  }
}

void Schemas::reach(const Plan& type, std::set<const Plan*>& reached) {
  if (!reached.insert(&type).second) return;
  for (const auto& field : type.fields)
    if (field.message != nullptr && !field.internal) reach(*field.message, reached);
}

object Schemas::reference(const std::string& full_name) const {
  return {{"$ref", "#/components/schemas/" + component_name(full_name)}};
}

object Schemas::message(const Plan& type) {
  if (type.shape != Shape::object) return well_known(type);
  const auto& full_name = type.descriptor->full_name();
  const auto name = component_name(full_name);
  if (components_.try_emplace(name).second) {  // the place is taken first: a type may hold itself
    auto made = object_without(type, {});
    components_[name] = std::move(made);
  }
  return reference(full_name);
}

object Schemas::enumeration(const EnumPlan& type) {
  const auto& full_name = type.descriptor->full_name();
  const auto [at, added] = components_.try_emplace(component_name(full_name));
  if (!added) return reference(full_name);
  const auto* known = contract().FindEnumTypeByName(full_name);
  std::string description = known == nullptr ? "" : doc(*known), values;
  array names;
  for (int i = 0; i < type.descriptor->value_count(); ++i) {
    const auto& value = *type.descriptor->value(i);
    names.emplace_back(value.name());
    const auto said = known == nullptr ? "" : doc(*known->FindValueByName(value.name()));
    if (!said.empty()) values += fmt::format("\n- `{}`: {}", value.name(), said);
  }
  if (!values.empty()) description += (description.empty() ? "" : "\n") + values;
  if (spelling_ == Spelling::accepted) {
    std::set<std::string> others;
    for (const auto& [name, number] : type.folded) others.insert(name);
    names.insert(names.end(), others.begin(), others.end());
  }
  at->second = {{"type", "string"}, {"enum", std::move(names)}};
  if (!description.empty()) at->second["description"] = description;
  return reference(full_name);
}

object Schemas::element(const FieldPlan& field) {
  if (field.message != nullptr) return message(*field.message);
  if (field.enumeration != nullptr) return enumeration(*field.enumeration);
  return scalar_element(field);
}

object Schemas::field(const FieldPlan& field) {
  object out;
  if (field.map) {
    const auto& entry = field.message->fields;
    out = {{"type", "object"}, {"additionalProperties", element(entry.at(1))}};
    if (field.max_items > 0) out["maxProperties"] = field.max_items;
    if (field.required) out["minProperties"] = 1;
  } else if (field.list) {
    out = {{"type", "array"}, {"items", element(field)}};
    if (field.max_items > 0) out["maxItems"] = field.max_items;
    if (field.required) out["minItems"] = 1;
  } else {
    out = element(field);
  }
  auto comment = doc_of(*field.descriptor);
  if (comment.empty()) comment = conventional(field.descriptor->name());
  if (field.generated)
    comment += comment.empty() ? "Made up when it is empty." : " Made up when it is empty.";
  if (!comment.empty()) out["description"] = comment;
  const auto* owner = &json::plan_of(*field.descriptor->containing_type());
  if (field.output_only) out["readOnly"] = true;
  if (field.secret && !in_replies_.contains(owner)) out["writeOnly"] = true;
  if (field.pii) out["x-personal"] = true;
  return out;
}

object Schemas::object_without(const Plan& type, const std::set<std::string>& left_out) {
  const bool sent = in_requests_.contains(&type);
  const bool only_shown = !sent && in_replies_.contains(&type);
  object properties;
  array required;
  for (const auto& field : type.fields) {
    const auto& name = field.descriptor->name();
    if (field.internal || left_out.contains(name)) continue;
    properties[name] = this->field(field);
    if (field.required || (only_shown && always_printed(field))) required.emplace_back(name);
  }
  object out{{"type", "object"}};
  if (const auto comment = doc_of(*type.descriptor); !comment.empty()) out["description"] = comment;
  out["properties"] = std::move(properties);
  if (!required.empty()) out["required"] = std::move(required);
  if (sent) out["additionalProperties"] = false;
  if (auto pairs = oneof_pairs(type); !pairs.empty()) out["not"] = object{{"anyOf", std::move(pairs)}};
  return out;
}

object Schemas::components() const {
  object out;
  for (const auto& [name, schema] : components_) out[name] = schema;
  return out;
}

}  // namespace cx::openapi
