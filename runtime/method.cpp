#include "runtime/method.hpp"

#include <fmt/format.h>
#include <set>
#include <stdexcept>

#include "messages/contract.hpp"
#include "runtime/access/permission.hpp"

namespace cx {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;
using google::protobuf::MethodOptions;

[[noreturn]] void wrong(const Method& method, const std::string& why) {
  throw std::logic_error(method.name + ": " + why);
}

/// Calls `use` with each name in braces; "{a}/{b}:c".
template <class Use>
void for_each_variable(std::string_view pattern, Use use) {
  for (auto at = pattern.find('{'); at != pattern.npos; at = pattern.find('{', at + 1)) {
    const auto end = pattern.find('}', at);
    if (end == pattern.npos) throw std::logic_error(fmt::format("{}: '{{' without '}}'", pattern));
    use(pattern.substr(at + 1, end - at - 1));
  }
}

/// The scalar field at a path, with the fields that lead there; throws when it is none.
std::vector<const FieldDescriptor*> find_path(const Descriptor& type, std::string_view path) {
  std::vector<const FieldDescriptor*> found;
  const Descriptor* in = &type;
  while (true) {
    const auto dot = path.find('.');
    const auto* field = in == nullptr ? nullptr : in->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr || field->is_repeated())
      throw std::logic_error(fmt::format("{} has no single field {}", type.full_name(), path));
    found.push_back(field);
    if (dot == path.npos) break;
    in = field->message_type();
    path.remove_prefix(dot + 1);
  }
  if (found.back()->message_type() != nullptr)
    throw std::logic_error(fmt::format("{} of {} is a message", path, type.full_name()));
  return found;
}

void set_route(Method& method, const v1::Route& route) {
  for (const auto& [verb, path] :
       {std::pair("GET", &route.get()), std::pair("POST", &route.post()), std::pair("PUT", &route.put()),
        std::pair("PATCH", &route.patch()), std::pair("DELETE", &route.delete_())}) {
    if (path->empty()) continue;
    if (!method.verb.empty()) wrong(method, "its route has two verbs");
    method.verb = verb;
    method.path = *path;
  }
  if (method.path.empty() || method.path.front() != '/') wrong(method, "its route has no path");
  method.body = route.body();
  const auto& type = *method.descriptor->input_type();
  for_each_variable(method.path, [&](std::string_view name) { find_path(type, name); });
  if (!method.body.empty() && method.body != "*") {
    const auto* field = type.FindFieldByName(method.body);
    if (field == nullptr || field->message_type() == nullptr || field->is_repeated())
      wrong(method, "its body " + method.body + " is no message of the request");
  }
}

void set_access(Method& method, const std::string& permission) {
  if (permission == "public") {
    method.access = Method::Access::everybody;
  } else if (permission == "authenticated") {
    method.access = Method::Access::authenticated;
  } else {
    const auto number = permission_number(permission);
    if (!number) wrong(method, "there is no permission '" + permission + "'");
    method.permission = *number;
  }
}

/// The field that an option marks; null where there is none.
template <class Option>
const FieldDescriptor* marked(const Descriptor& type, const Option& option) {
  for (int i = 0; i < type.field_count(); ++i)
    if (type.field(i)->options().GetExtension(option)) return type.field(i);
  return nullptr;
}

Method method_of(const MethodDescriptor& descriptor, const Services& table) {
  Method method;
  method.descriptor = &descriptor;
  method.name = descriptor.full_name();
  auto& factory = *MessageFactory::generated_factory();
  method.request = factory.GetPrototype(descriptor.input_type());
  method.reply = factory.GetPrototype(descriptor.output_type());

  const MethodOptions& options = descriptor.options();
  if (options.HasExtension(v1::route)) set_route(method, options.GetExtension(v1::route));
  set_access(method, options.GetExtension(v1::permission));
  method.effect = options.GetExtension(v1::effect);
  method.audit = options.GetExtension(v1::audit);
  method.target = options.GetExtension(v1::target);
  if (options.HasExtension(v1::rate)) method.cost = options.GetExtension(v1::rate);
  for (const auto* pattern : {&method.audit, &method.target})
    for_each_variable(*pattern, [&](std::string_view name) {
      if (name != "tenant") find_path(*descriptor.input_type(), name);
    });
  method.if_match = marked(*descriptor.input_type(), v1::if_match);
  method.etag = marked(*descriptor.output_type(), v1::etag);

  if (options.HasExtension(v1::raw)) {
    const auto& raw = options.GetExtension(v1::raw);
    method.is_raw = true;
    method.content_type = raw.content_type();
    method.body_credential = raw.body_credential();
    method.raw = table.raw(raw.agent());
  } else {
    method.unary = table.unary(method.name);
    if (method.effect != v1::EFFECT_READS && method.audit.empty())
      wrong(method, "it changes something and does not say what the audit log is to name");
  }
  return method;
}

}  // namespace

ServiceDescriptors contract_services() {
  ServiceDescriptors all;
  for_each_service([&](const auto& service) { all.push_back(&service); });
  return all;
}

std::vector<Method> methods_of(const ServiceDescriptors& services, const Services& table) {
  std::vector<Method> methods;
  std::set<std::pair<std::string, std::string>> routes;
  for (const auto* service : services)
    for (int i = 0; i < service->method_count(); ++i) {
      const auto& method = methods.emplace_back(method_of(*service->method(i), table));
      if (!method.path.empty() && !routes.emplace(method.verb, method.path).second)
        wrong(method, "another method has its route " + method.verb + " " + method.path);
    }
  return methods;
}

std::string field_text(const google::protobuf::Message& message, std::string_view path) {
  const auto fields = find_path(*message.GetDescriptor(), path);
  const auto* at = &message;
  for (const auto* field : fields) {
    const auto& reflection = *at->GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        at = &reflection.GetMessage(*at, field);
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.GetString(*at, field);
      case FieldDescriptor::CPPTYPE_UINT32:
        return std::to_string(reflection.GetUInt32(*at, field));
      case FieldDescriptor::CPPTYPE_INT32:
        return std::to_string(reflection.GetInt32(*at, field));
      case FieldDescriptor::CPPTYPE_UINT64:
        return std::to_string(reflection.GetUInt64(*at, field));
      case FieldDescriptor::CPPTYPE_INT64:
        return std::to_string(reflection.GetInt64(*at, field));
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection.GetEnum(*at, field)->name();
      default:
        throw std::logic_error(fmt::format("{} cannot be part of a name", field->full_name()));
    }
  }
  return {};
}

Result<std::string> expand(std::string_view pattern, const google::protobuf::Message& request,
                           std::string_view tenant) {
  std::string out;
  std::size_t copied = 0;
  std::optional<Error> error;
  for_each_variable(pattern, [&](std::string_view name) {
    const auto begin = static_cast<std::size_t>(name.data() - pattern.data());
    out += pattern.substr(copied, begin - 1 - copied);
    copied = begin + name.size() + 1;
    const std::string value = name == "tenant" ? std::string(tenant) : field_text(request, name);
    if (value.empty() && !error) {
      auto pointer = fmt::format("/{}", name);
      for (auto& c : pointer)
        if (c == '.') c = '/';
      error = Error{Code::invalid_argument, "required",
                    fmt::format("{} is empty; say which one is meant.", name), std::move(pointer)};
    }
    out += value;
  });
  if (error) return *std::move(error);
  return out += pattern.substr(copied);
}

}  // namespace cx
