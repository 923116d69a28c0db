#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateways/json/plan.hpp"
#include "runtime/method.hpp"

/// What the contract's types look like in JSON, as JSON Schema 2020-12, which is what OpenAPI 3.1 takes.
namespace cx::openapi {

/// The doc comment of something in the contract by its full name; empty for what is not in it.
std::string doc_of(const google::protobuf::Descriptor& type);
std::string doc_of(const google::protobuf::FieldDescriptor& field);
std::string doc_of(const google::protobuf::MethodDescriptor& method);
std::string doc_of(const google::protobuf::ServiceDescriptor& service);
/// What a field of this name is in every message that has one: "page_token", "etag", "created_by". Empty for
/// any other; what the field's own comment says goes before it.
std::string_view conventional(std::string_view field_name);
/// The first sentence of a text, without its full stop.
std::string first_sentence(std::string_view text);

/// How values of enums are written: as replies have them, or in whatever way requests may.
enum class Spelling { printed, accepted };

/// The schemas of a set of methods. Messages and enums become components that others refer to; a component is
/// made when it is referred to for the first time.
///
/// A message that requests use takes no other fields than those that it has. One that only replies use may
/// get more in a later version, and names as required what a reply always has.
class Schemas {
 public:
  explicit Schemas(std::span<const Method> methods, Spelling spelling = Spelling::printed);

  /// A message as a whole: a reference, or what a well-known type looks like.
  boost::json::object message(const json::Plan& type);
  /// A field with its description.
  boost::json::object field(const json::FieldPlan& field);
  /// The object of a request's fields except those named.
  boost::json::object object_without(const json::Plan& type, const std::set<std::string>& left_out);

  /// Components so far, by name.
  boost::json::object components() const;

 private:
  void reach(const json::Plan& type, std::set<const json::Plan*>& reached);
  boost::json::object element(const json::FieldPlan& field);
  boost::json::object enumeration(const json::EnumPlan& type);
  boost::json::object reference(const std::string& full_name) const;

  const Spelling spelling_;
  std::set<const json::Plan*> in_requests_, in_replies_;
  std::map<std::string, boost::json::object> components_;
};

}  // namespace cx::openapi
