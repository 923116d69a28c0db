#include "tests/contract/lint.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <regex>
#include <set>

#include "cx/v1/options.pb.h"
#include "gateways/openapi/schema.hpp"
#include "messages/contract.hpp"
#include "runtime/access/permission.hpp"

namespace cx::test {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

/// Lists that do not come in pages of page_size by page_token, and why.
constexpr std::array<std::string_view, 3> kOtherLists = {
    "cx.v1.Operations.ListShards",         // a node has at most 1,024
    "cx.v1.Operations.ListEntityHistory",  // goes on from a sequence number, which callers know
    "cx.v1.Operations.ListDeadLetters",    // older than the convention
};

bool matches(const std::string& text, const char* pattern) {
  return std::regex_match(text, std::regex(pattern));
}

/// The path, and the verb in `verb`; nothing unless there is exactly one.
std::string path_of(const v1::Route& route, std::string& verb) {
  std::string path;
  for (const auto& [name, text] :
       {std::pair("GET", &route.get()), std::pair("POST", &route.post()), std::pair("PUT", &route.put()),
        std::pair("PATCH", &route.patch()), std::pair("DELETE", &route.delete_())}) {
    if (text->empty()) continue;
    if (!path.empty()) return {};
    path = *text;
    verb = name;
  }
  return path;
}

class Lint {
 public:
  std::vector<std::string> found;

  void check(const ServiceDescriptor& service) {
    const auto& noun = service.options().GetExtension(v1::noun);
    if (doc(service).empty()) say(service, "has no comment");
    if (!matches(noun, "[a-z]+(-[a-z]+)*")) say(service, "has no noun, or not one like 'api-keys'");
    if (!nouns_.insert(noun).second) say(service, "has the noun of another service");
    if (!matches(service.name(), "([A-Z][a-z0-9]+)+")) say(service, "is no name LikeThis");
    for (int i = 0; i < service.method_count(); ++i) check(*service.method(i));
  }

 private:
  template <class Descriptor>
  void say(const Descriptor& where, std::string_view what) {
    found.push_back(fmt::format("{}: {}", where.full_name(), what));
  }

  void check(const MethodDescriptor& method) {
    const auto& options = method.options();
    const auto& permission = options.GetExtension(v1::permission);
    const auto effect = options.GetExtension(v1::effect);
    if (doc(method).empty()) say(method, "has no comment");
    if (!doc(method).empty() && !doc(method).ends_with('.')) say(method, "its comment is no sentence");
    if (!matches(method.name(), "([A-Z][a-z0-9]*)+")) say(method, "is no name LikeThis");
    if (permission.empty())
      say(method, "has no permission");
    else if (permission != "public" && permission != "authenticated" && !permission_number(permission))
      say(method, "has a permission that there is not: " + permission);
    if (effect != v1::EFFECT_READS && options.GetExtension(v1::audit).empty())
      say(method, "changes something, and does not say what the audit log is to name");
    check_route(method);
    check_list(method);
    if (options.HasExtension(v1::raw)) return;
    std::string unused;
    check(*method.input_type(), path_of(options.GetExtension(v1::route), unused));
    check(*method.output_type(), "");
  }

  void check_route(const MethodDescriptor& method) {
    const auto& route = method.options().GetExtension(v1::route);
    const auto effect = method.options().GetExtension(v1::effect);
    std::string verb;
    const auto path = path_of(route, verb);
    if (path.empty()) return say(method, "has no route, or several");
    if (path.substr(0, 4) != "/v1/") say(method, "its route does not start with /v1/");
    if (!matches(path, "(/([a-z0-9]+(-[a-z0-9]+)*|\\{[a-z0-9_.]+\\}))+(:[a-z]+([A-Z][a-z]+)*)?"))
      say(method, "its route is not like /v1/api-keys/{key_id}:rotate");
    if (verb == "GET" && effect != v1::EFFECT_READS) say(method, "is a GET and changes something");
    if (verb == "DELETE" && effect != v1::EFFECT_DESTROYS)
      say(method, "is a DELETE and does not say that it destroys");
    if (effect == v1::EFFECT_READS && (verb == "PUT" || verb == "PATCH"))
      say(method, fmt::format("is a {} and does not say that it changes something", verb));
    if ((verb == "GET" || verb == "DELETE") && !route.body().empty())
      say(method, "is a " + verb + " and has a body");
    if ((verb == "PUT" || verb == "PATCH") && (route.body().empty() || route.body() == "*"))
      say(method, "is a " + verb + " and its body is not the field that holds what is put");
  }

  void check_list(const MethodDescriptor& method) {
    const auto& reply = *method.output_type();
    const bool pages = reply.FindFieldByName("next_page_token") != nullptr;
    if (method.name().substr(0, 4) != "List" && !pages) return;
    const auto other = std::find(kOtherLists.begin(), kOtherLists.end(), method.full_name());
    if (other != kOtherLists.end()) return;
    const auto* size = method.input_type()->FindFieldByName("page_size");
    const auto* token = method.input_type()->FindFieldByName("page_token");
    if (size == nullptr || token == nullptr || !pages)
      return say(method, "is a list without page_size, page_token or next_page_token");
    const auto& range = size->options().GetExtension(v1::range);
    if (range.min() != 0 || range.max() != 1000) say(*size, "is not between 0 and 1000");
    if (token->options().GetExtension(v1::max_length) == 0) say(*token, "has no max_length");
  }

  /// `path`: of the method whose request this is. A field needs no comment where its type has one, where
  /// every message that has it means the same by it, and where it is a variable of the path.
  void check(const Descriptor& type, const std::string& path) {
    if (type.file()->package() == "google.protobuf" || !types_.insert(&type).second) return;
    for (int i = 0; i < type.field_count(); ++i) {
      const auto& field = *type.field(i);
      if (!matches(field.name(), "[a-z][a-z0-9]*(_[a-z0-9]+)*")) say(field, "is no name like_this");
      if (field.options().GetExtension(v1::internal)) continue;
      if (doc(field).empty() && !is_plain(field) && path.find('{' + field.name() + '}') == path.npos)
        say(field, "has no comment");
      if (field.message_type() != nullptr) {
        check(*field.message_type(), "");
        const auto& held = *field.message_type();
        if (!field.is_map() && !is_google(held) && doc(held).empty() && bare_.insert(&held).second)
          say(held, "has no comment");
      }
      if (field.enum_type() != nullptr) check(*field.enum_type());
    }
  }

  static bool is_google(const Descriptor& type) { return type.file()->package() == "google.protobuf"; }
  static bool is_plain(const FieldDescriptor& field) {
    return !openapi::conventional(field.name()).empty() || field.enum_type() != nullptr ||
           field.containing_type()->options().map_entry() ||
           (field.message_type() != nullptr && !field.is_map() && !is_google(*field.message_type()));
  }

  /// Names of values are sentences enough as long as the enum says what it is.
  void check(const EnumDescriptor& type) {
    if (type.file()->package() == "google.protobuf" || !types_.insert(&type).second) return;
    if (doc(type).empty()) say(type, "has no comment");
    std::string prefix;
    for (const char c : type.name()) {
      if (c >= 'A' && c <= 'Z' && !prefix.empty()) prefix += '_';
      prefix += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    for (int i = 0; i < type.value_count(); ++i) {
      const auto& value = *type.value(i);
      if (!value.name().starts_with(prefix + '_')) say(value, "does not start with " + prefix + '_');
      if (value.number() == 0 && !value.name().ends_with("_UNSPECIFIED") && doc(value).empty())
        say(value, "is what an absent value is, and has no comment");
    }
  }

  std::set<std::string> nouns_;
  std::set<const void*> types_, bare_;
};

}  // namespace

std::vector<std::string> lint(const std::vector<const FileDescriptor*>& files) {
  Lint lint;
  for (const auto* file : files)
    for (int i = 0; i < file->service_count(); ++i) lint.check(*file->service(i));
  return lint.found;
}

}  // namespace cx::test
