#include "tests/contract/compatible.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <map>

#include "cx/v1/options.pb.h"

namespace cx::test {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldOptions;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

/// Everything that a contract declares, by full name.
struct Names {
  std::map<std::string, const Descriptor*> messages;
  std::map<std::string, const EnumDescriptor*> enums;
  std::map<std::string, const ServiceDescriptor*> services;

  explicit Names(const std::vector<const FileDescriptor*>& files) {
    for (const auto* file : files) {
      for (int i = 0; i < file->message_type_count(); ++i) add(*file->message_type(i));
      for (int i = 0; i < file->enum_type_count(); ++i)
        enums.emplace(file->enum_type(i)->full_name(), file->enum_type(i));
      for (int i = 0; i < file->service_count(); ++i)
        services.emplace(file->service(i)->full_name(), file->service(i));
    }
  }
  void add(const Descriptor& type) {
    messages.emplace(type.full_name(), &type);
    for (int i = 0; i < type.nested_type_count(); ++i) add(*type.nested_type(i));
    for (int i = 0; i < type.enum_type_count(); ++i)
      enums.emplace(type.enum_type(i)->full_name(), type.enum_type(i));
  }
};

template <class Map>
auto find(const Map& map, const std::string& name) {
  const auto at = map.find(name);
  return at == map.end() ? nullptr : at->second;
}

std::string type_of(const FieldDescriptor& field) {
  std::string name = field.type_name();
  if (field.message_type() != nullptr) name = field.message_type()->full_name();
  if (field.enum_type() != nullptr) name = field.enum_type()->full_name();
  if (field.is_map()) {
    const auto& entry = *field.message_type();
    return fmt::format("map<{}, {}>", type_of(*entry.map_key()), type_of(*entry.map_value()));
  }
  return field.is_repeated() ? "repeated " + name : name;
}

std::string oneof_of(const FieldDescriptor& field) {
  return field.real_containing_oneof() == nullptr ? "none" : field.real_containing_oneof()->name();
}

std::string route_of(const MethodDescriptor& method) {
  const auto& route = method.options().GetExtension(v1::route);
  return fmt::format("{}{}{}{}{} body '{}'", route.get(), route.post(), route.put(), route.patch(),
                     route.delete_(), route.body());
}

std::string verb_of(const MethodDescriptor& method) {
  const auto& route = method.options().GetExtension(v1::route);
  return !route.get().empty()     ? "GET"
         : !route.post().empty()  ? "POST"
         : !route.put().empty()   ? "PUT"
         : !route.patch().empty() ? "PATCH"
                                  : "DELETE";
}

std::string document_of(const MethodDescriptor& method) {
  const auto& document = method.options().GetExtension(v1::document);
  return fmt::format("{} {}", static_cast<int>(document.verb()), document.kind());
}

class Comparison {
 public:
  Comparison(const std::vector<const FileDescriptor*>& before, const std::vector<const FileDescriptor*>& now)
      : now_(now) {
    for (const auto* file : before) {
      for (int i = 0; i < file->service_count(); ++i) compare(*file->service(i));
      for (int i = 0; i < file->enum_type_count(); ++i) compare(*file->enum_type(i));
      for (int i = 0; i < file->message_type_count(); ++i) compare(*file->message_type(i));
    }
  }
  std::vector<std::string> found;

 private:
  template <class... Words>
  void say(const std::string& name, fmt::format_string<Words...> format, Words&&... words) {
    found.push_back(name + ": " + fmt::format(format, std::forward<Words>(words)...));
  }
  void same(const std::string& name, std::string_view what, const std::string& was, const std::string& is) {
    if (was != is) say(name, "{} was {} and is {}", what, was, is);
  }

  void compare(const ServiceDescriptor& was) {
    const auto* is = find(now_.services, was.full_name());
    if (is == nullptr) return say(was.full_name(), "is gone");
    for (int i = 0; i < was.method_count(); ++i) {
      const auto* method = is->FindMethodByName(was.method(i)->name());
      if (method == nullptr)
        say(was.method(i)->full_name(), "is gone");
      else
        compare(*was.method(i), *method);
    }
  }

  void compare(const MethodDescriptor& was, const MethodDescriptor& is) {
    const auto& name = was.full_name();
    const auto &old = was.options(), &fresh = is.options();
    same(name, "request", was.input_type()->full_name(), is.input_type()->full_name());
    same(name, "reply", was.output_type()->full_name(), is.output_type()->full_name());
    if (old.HasExtension(v1::route))
      same(name, "route", verb_of(was) + ' ' + route_of(was), verb_of(is) + ' ' + route_of(is));
    same(name, "permission", old.GetExtension(v1::permission), fresh.GetExtension(v1::permission));
    same(name, "target", old.GetExtension(v1::target), fresh.GetExtension(v1::target));
    if (old.GetExtension(v1::effect) > fresh.GetExtension(v1::effect))
      same(name, "effect", v1::Effect_Name(old.GetExtension(v1::effect)),
           v1::Effect_Name(fresh.GetExtension(v1::effect)));
    if (!old.GetExtension(v1::audit).empty())
      same(name, "audit", old.GetExtension(v1::audit), fresh.GetExtension(v1::audit));
    same(name, "raw", old.GetExtension(v1::raw).content_type(), fresh.GetExtension(v1::raw).content_type());
    if (old.HasExtension(v1::document)) same(name, "document", document_of(was), document_of(is));
  }

  void compare(const EnumDescriptor& was) {
    const auto* is = find(now_.enums, was.full_name());
    if (is == nullptr) return say(was.full_name(), "is gone");
    for (int i = 0; i < was.value_count(); ++i) {
      const auto& value = *was.value(i);
      const auto* same = is->FindValueByNumber(value.number());
      const auto name = was.full_name() + '.' + value.name();
      if (same == nullptr) {
        if (!is->IsReservedNumber(value.number()))
          say(name, "is gone, and its number {} is not reserved", value.number());
      } else if (is->FindValueByName(value.name()) == nullptr ||
                 is->FindValueByName(value.name())->number() != value.number()) {
        say(name, "its number {} now is {}", value.number(), same->name());
      }
    }
  }

  void compare(const Descriptor& was) {
    if (was.options().map_entry()) return;
    const auto* is = find(now_.messages, was.full_name());
    if (is == nullptr) return say(was.full_name(), "is gone");
    for (int i = 0; i < was.field_count(); ++i) {
      const auto& field = *was.field(i);
      const auto* same = is->FindFieldByNumber(field.number());
      if (same != nullptr)
        compare(field, *same);
      else if (!is->IsReservedNumber(field.number()))
        say(field.full_name(), "is gone, and its number {} is not reserved", field.number());
    }
    if (was.options().GetExtension(v1::relaxed) != is->options().GetExtension(v1::relaxed) &&
        is->options().GetExtension(v1::relaxed))
      say(was.full_name(), "is relaxed: a crash may forget what was answered");
    for (int i = 0; i < was.nested_type_count(); ++i) compare(*was.nested_type(i));
    for (int i = 0; i < was.enum_type_count(); ++i) compare(*was.enum_type(i));
  }

  void compare(const FieldDescriptor& was, const FieldDescriptor& is) {
    const auto& name = was.full_name();
    if (was.name() != is.name()) return say(name, "its number {} now is {}", was.number(), is.name());
    same(name, "type", type_of(was), type_of(is));
    same(name, "oneof", oneof_of(was), oneof_of(is));
    const auto &old = was.options(), &fresh = is.options();
    const auto has = [&](const auto& option, const FieldOptions& in) { return in.GetExtension(option); };
    const auto kept = [&](std::string_view what, const auto& option) {
      if (has(option, old) && !has(option, fresh)) say(name, "is not {} any more", what);
    };
    const auto fresh_only = [&](std::string_view what, const auto& option) {
      if (!has(option, old) && has(option, fresh)) say(name, "now is {}", what);
    };
    kept("secret", v1::secret);
    kept("pii", v1::pii);
    kept("internal", v1::internal);
    kept("output_only", v1::output_only);
    kept("generated", v1::generated);
    kept("if_match", v1::if_match);
    kept("etag", v1::etag);
    fresh_only("required", v1::required);
    fresh_only("a name", v1::name);
    fresh_only("internal", v1::internal);
    fresh_only("output_only", v1::output_only);
    narrower(name, "max_length", old.GetExtension(v1::max_length), fresh.GetExtension(v1::max_length));
    narrower(name, "max_items", old.GetExtension(v1::max_items), fresh.GetExtension(v1::max_items));
    compare_ranges(name, old, fresh);
    compare_words(name, old, fresh);
  }

  void narrower(const std::string& name, std::string_view what, std::uint32_t was, std::uint32_t is) {
    constexpr auto kNone = std::numeric_limits<std::uint32_t>::max();
    if ((was == 0 ? kNone : was) > (is == 0 ? kNone : is))
      say(name, "{} was {} and is {}", what, was == 0 ? "none" : std::to_string(was), is);
  }

  void compare_ranges(const std::string& name, const FieldOptions& old, const FieldOptions& fresh) {
    if (!fresh.HasExtension(v1::range)) return;
    const auto &was = old.GetExtension(v1::range), &is = fresh.GetExtension(v1::range);
    if (!old.HasExtension(v1::range))
      say(name, "range was none and is {} to {}", is.min(), is.max());
    else if (is.min() > was.min() || is.max() < was.max())
      say(name, "range was {} to {} and is {} to {}", was.min(), was.max(), is.min(), is.max());
  }

  void compare_words(const std::string& name, const FieldOptions& old, const FieldOptions& fresh) {
    const auto &was = old.GetRepeatedExtension(v1::one_of), &is = fresh.GetRepeatedExtension(v1::one_of);
    if (is.empty()) return;
    if (was.empty()) say(name, "now is one of a few words");
    for (const auto& word : was)
      if (std::find(is.begin(), is.end(), word) == is.end()) say(name, "does not take '{}' any more", word);
  }

  const Names now_;
};

}  // namespace

std::vector<std::string> breaking_changes(const std::vector<const FileDescriptor*>& before,
                                          const std::vector<const FileDescriptor*>& now) {
  return Comparison(before, now).found;
}

}  // namespace cx::test
