#include "gateways/openapi/openapi.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "cx/v1/bidding.pb.h"
#include "gateways/json/plan.hpp"
#include "gateways/openapi/parts.hpp"
#include "gateways/openapi/schema.hpp"
#include "runtime/access/permission.hpp"

namespace cx::openapi {
namespace {

using boost::json::array;
using boost::json::object;
using json::FieldPlan;
using json::Plan;
using json::Shape;

std::string permission_of(const Method& method) {
  switch (method.access) {
    case Method::Access::everybody:
      return "public";
    case Method::Access::authenticated:
      return "authenticated";
    case Method::Access::permitted:
      break;
  }
  return permission_name(method.permission);
}

const char* effect_of(const Method& method) {
  switch (method.effect) {
    case v1::EFFECT_CHANGES:
      return "changes";
    case v1::EFFECT_DESTROYS:
      return "destroys";
    default:
      return "reads";
  }
}

std::string tag_of(const google::protobuf::ServiceDescriptor& service) {
  const auto& noun = service.options().GetExtension(v1::noun);
  return noun.empty() ? service.name() : noun;
}

std::string operation_id(const Method& method) {
  return method.descriptor->service()->name() + '.' + method.descriptor->name();
}

std::vector<std::string> variables(std::string_view path) {
  std::vector<std::string> names;
  for (auto at = path.find('{'); at != path.npos; at = path.find('{', at + 1))
    names.emplace_back(path.substr(at + 1, path.find('}', at) - at - 1));
  return names;
}

/// The field at a path "a.b"; the contract has been checked to have it.
const FieldPlan& field_at(const Plan& type, std::string_view path) {
  const auto dot = path.find('.');
  const auto* field = type.find(path.substr(0, dot));
  return dot == path.npos ? *field : field_at(*field->message, path.substr(dot + 1));
}

object reference(std::string_view kind, std::string_view name) {
  return {{"$ref", fmt::format("#/components/{}/{}", kind, name)}};
}

/// One operation, piece by piece.
class Operation {
 public:
  Operation(const Method& method, Schemas& schemas)
      : method_(method),
        schemas_(schemas),
        request_(json::plan_of(*method.request->GetDescriptor())),
        variables_(variables(method.path)) {}

  object make() {
    const auto comment = doc_of(*method_.descriptor);
    object out{{"operationId", operation_id(method_)},
               {"tags", array{tag_of(*method_.descriptor->service())}}};
    out["summary"] = comment.empty() ? operation_id(method_) : first_sentence(comment);
    if (!comment.empty()) out["description"] = comment;
    out["parameters"] = parameters();
    if (!method_.body.empty()) out["requestBody"] = body();
    out["responses"] = responses();
    if (method_.access == Method::Access::everybody) out["security"] = array{};
    out["x-permission"] = permission_of(method_);
    out["x-effect"] = effect_of(method_);
    out["x-rate-cost"] = method_.cost;
    return out;
  }

 private:
  array parameters() {
    array out;
    for (const auto& name : variables_) {
      auto parameter = parameter_of(field_at(request_, name), name, "path");
      parameter["required"] = true;
      out.push_back(std::move(parameter));
    }
    if (!method_.is_raw && method_.body != "*") add_query(request_, "", out);
    if (method_.if_match != nullptr) out.push_back(reference("parameters", "If-Match"));
    if (method_.etag != nullptr && method_.verb == "GET")
      out.push_back(reference("parameters", "If-None-Match"));
    if (method_.effect != v1::EFFECT_READS && !method_.target.empty())
      out.push_back(reference("parameters", "Idempotency-Key"));
    if (!method_.is_raw) out.push_back(reference("parameters", "X-Timeout-Ms"));
    out.push_back(reference("parameters", "X-Request-Id"));
    return out;
  }

  object parameter_of(const FieldPlan& field, const std::string& name, std::string_view in) {
    object out{{"name", name}, {"in", in}};
    auto schema = schemas_.field(field);
    if (schema.contains("description") && !schema.contains("$ref")) {
      out["description"] = schema["description"];
      schema.erase("description");
    }
    if (in == "path" && schema.contains("type") && schema["type"] == "string" && !field.name)
      schema["minLength"] = 1;
    out["schema"] = std::move(schema);
    return out;
  }

  /// What neither path, body nor header carries. Lists of messages and maps cannot be said in a query, and
  /// what a message holds of its own type is left out.
  void add_query(const Plan& type, const std::string& prefix, array& out) {
    holders_.push_back(&type);
    for (const auto& field : type.fields) {
      const auto name = prefix + field.descriptor->name();
      const bool elsewhere = std::find(variables_.begin(), variables_.end(), name) != variables_.end() ||
                             name == method_.body || field.descriptor == method_.if_match;
      if (elsewhere || field.internal || field.output_only || field.map) continue;
      if (field.message != nullptr && field.message->shape == Shape::object) {
        const bool inside = std::find(holders_.begin(), holders_.end(), field.message) != holders_.end();
        if (!field.list && !inside) add_query(*field.message, name + '.', out);
        continue;
      }
      auto parameter = parameter_of(field, name, "query");
      if (field.required && prefix.empty()) parameter["required"] = true;
      out.push_back(std::move(parameter));
    }
    holders_.pop_back();
  }

  object body() {
    if (method_.is_raw) {
      auto types = content(method_.content_type, object{});
      if (!method_.body_credential.empty()) types["text/plain"] = object{{"schema", object{}}};
      return {{"required", true}, {"content", std::move(types)}};
    }
    if (method_.body != "*") {
      const auto& field = field_at(request_, method_.body);
      return {{"required", field.required},
              {"content", content(method_.content_type, schemas_.message(*field.message))}};
    }
    std::set<std::string> elsewhere(variables_.begin(), variables_.end());
    if (method_.if_match != nullptr) elsewhere.insert(method_.if_match->name());
    const bool required = std::any_of(request_.fields.begin(), request_.fields.end(), [&](const auto& field) {
      return field.required && !elsewhere.contains(field.descriptor->name());
    });
    const bool whole = std::none_of(elsewhere.begin(), elsewhere.end(),
                                    [&](const auto& name) { return request_.find(name) != nullptr; });
    return {{"required", required},
            {"content", content(method_.content_type, whole ? schemas_.message(request_)
                                                            : schemas_.object_without(request_, elsewhere))}};
  }

  static object content(std::string_view media_type, object schema) {
    return {{media_type, object{{"schema", std::move(schema)}}}};
  }

  object responses() {
    object out;
    out["200"] = success();
    if (method_.is_raw) out["204"] = object{{"description", "Nothing to say."}};
    if (method_.etag != nullptr && method_.verb == "GET") out["304"] = reference("responses", "Not-Modified");
    for (const int status : problems())
      out[std::to_string(status)] = reference("responses", problem_name(status));
    return out;
  }

  object success() {
    const auto& reply = *method_.reply->GetDescriptor();
    const bool bytes = method_.is_raw || &reply == v1::RawBody::descriptor();
    const auto comment = bytes ? "" : first_sentence(doc_of(reply));
    object headers{{"X-Request-Id", reference("headers", "X-Request-Id")}};
    if (method_.etag != nullptr) headers["ETag"] = reference("headers", "ETag");
    if (method_.access != Method::Access::everybody) {
      headers["RateLimit"] = reference("headers", "RateLimit");
      headers["RateLimit-Policy"] = reference("headers", "RateLimit-Policy");
    }
    object out{{"description", comment.empty() ? "It is done." : comment + '.'},
               {"headers", std::move(headers)}};
    if (!bytes)
      out["content"] = content(method_.content_type, schemas_.message(json::plan_of(reply)));
    else
      out["content"] = content(method_.is_raw ? method_.content_type : "*/*", object{});
    return out;
  }

  /// Statuses of the errors that can come back, ascending.
  std::vector<int> problems() const {
    const bool writes = method_.effect != v1::EFFECT_READS;
    // Any field but those of paging may name something that is not there.
    const bool names_something =
        std::any_of(request_.fields.begin(), request_.fields.end(), [](const auto& field) {
          const auto& name = field.descriptor->name();
          return !field.internal && name != "page_size" && name != "page_token";
        });
    std::vector<int> out{400};
    // Public methods that take a body are those that people sign in by.
    if (method_.access != Method::Access::everybody || !method_.body.empty()) out.push_back(401);
    if (method_.access == Method::Access::permitted) out.push_back(403);
    if (names_something && !method_.is_raw) out.push_back(404);
    if (writes) out.push_back(409);
    if (method_.if_match != nullptr) out.push_back(412);
    if (!method_.body.empty()) out.insert(out.end(), {413, 415});
    out.insert(out.end(), {429, 431, 500, 503, 504});
    return out;
  }

  const Method& method_;
  Schemas& schemas_;
  const Plan& request_;
  const std::vector<std::string> variables_;
  std::vector<const Plan*> holders_;  // of the fields that add_query() is at
};

array tags_of(std::span<const Method> methods) {
  array out;
  const google::protobuf::ServiceDescriptor* last = nullptr;
  for (const auto& method : methods) {
    const auto* service = method.descriptor->service();
    if (method.path.empty() || service == last) continue;
    last = service;
    object tag{{"name", tag_of(*service)}};
    if (const auto comment = doc_of(*service); !comment.empty()) tag["description"] = comment;
    out.push_back(std::move(tag));
  }
  return out;
}

}  // namespace

std::string document(std::span<const Method> methods, const Info& info) {
  Schemas schemas(methods);
  object paths;
  for (const auto& method : methods) {
    if (method.path.empty()) continue;
    auto verb = method.verb;
    for (auto& c : verb) c = static_cast<char>(c - 'A' + 'a');
    auto& path = paths[method.path];
    if (!path.is_object()) path = object();
    path.get_object()[verb] = Operation(method, schemas).make();
  }
  auto components = common_components(schemas);
  object out{
      {"openapi", "3.1.0"},
      {"info", object{{"title", info.title}, {"version", info.version}, {"description", introduction()}}},
      {"servers", array{object{{"url", "/"}}}},
      {"security", array{object{{"bearer", array{}}}, object{{"basic", array{}}}, object{{"apiKey", array{}}},
                         object{{"certificate", array{}}}}},
      {"tags", tags_of(methods)},
      {"paths", std::move(paths)},
      {"components", std::move(components)}};
  return boost::json::serialize(out);
}

}  // namespace cx::openapi
