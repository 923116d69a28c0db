#include "gateways/json/rules.hpp"

#include <algorithm>
#include <utility>

#include "gateways/json/any.hpp"
#include "gateways/json/plan.hpp"
#include "gateways/json/store.hpp"
#include "gateways/json/text.hpp"
#include "runtime/address.hpp"

namespace cx::json {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

// Of an Any inside others; what is in no Any cannot be deeper than Protobuf's own limit of 100.
constexpr int kDeepestAny = 100;

Error failure(std::string type, const Where& at, const std::string& words) {
  return {Code::invalid_argument, std::move(type), at.pointer() + ' ' + words, at.pointer()};
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(
      utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// The element `i` of a repeated field, or the value of another.
template <class Number>
Number get(const Message& m, const FieldDescriptor* f, int i) {
  const Reflection* r = m.GetReflection();
  const bool one = !f->is_repeated();
  if constexpr (std::is_same_v<Number, std::int32_t>)
    return one ? r->GetInt32(m, f) : r->GetRepeatedInt32(m, f, i);
  if constexpr (std::is_same_v<Number, std::int64_t>)
    return one ? r->GetInt64(m, f) : r->GetRepeatedInt64(m, f, i);
  if constexpr (std::is_same_v<Number, std::uint32_t>)
    return one ? r->GetUInt32(m, f) : r->GetRepeatedUInt32(m, f, i);
  if constexpr (std::is_same_v<Number, std::uint64_t>)
    return one ? r->GetUInt64(m, f) : r->GetRepeatedUInt64(m, f, i);
  if constexpr (std::is_same_v<Number, float>) return one ? r->GetFloat(m, f) : r->GetRepeatedFloat(m, f, i);
  if constexpr (std::is_same_v<Number, double>)
    return one ? r->GetDouble(m, f) : r->GetRepeatedDouble(m, f, i);
}

class Checker {
 public:
  using Outcome = std::optional<Error>;

  Outcome message(const Message& m, const Plan& type, const Where& at, int depth) {
    if (!type.has_rules) return std::nullopt;
    if (type.shape == Shape::any) return any(m, at, depth);
    for (const FieldPlan& field : type.fields) {
      const bool holds_rules = field.message != nullptr && field.message->has_rules;
      if (!field.rules && !holds_rules) continue;
      const Where inside{&at, field.descriptor->name(), 0};
      if (auto error = member(m, field, inside, holds_rules, depth)) return error;
    }
    return std::nullopt;
  }

 private:
  Outcome any(const Message& m, const Where& at, int depth) {
    if (type_url(m).empty()) return std::nullopt;
    if (depth > kDeepestAny) return failure("too-deep", at, "is too deep inside other messages; flatten it.");
    const auto held = unpack(m);
    if (held == nullptr)
      return failure("invalid-value", at,
                     "cannot be read: its type is unknown here, or its bytes are not of that type.");
    return message(*held, plan_of(*held->GetDescriptor()), at, depth + 1);
  }

  Outcome member(const Message& m, const FieldPlan& field, const Where& at, bool holds_rules, int depth) {
    const Reflection* r = m.GetReflection();
    const auto* f = field.descriptor;
    if (f->is_repeated()) return items(m, field, at, holds_rules, depth);
    if (field.presence && !r->HasField(m, f)) {
      if (field.required) return missing(at);
      return std::nullopt;
    }
    if (auto error = value(m, field, at, 0)) return error;
    if (!holds_rules) return std::nullopt;
    return message(r->GetMessage(m, f), *field.message, at, depth + 1);
  }

  static Error missing(const Where& at) {
    return failure("required-field", at, "is required: give it a value.");
  }

  Outcome items(const Message& m, const FieldPlan& field, const Where& at, bool holds_rules, int depth) {
    const Reflection* r = m.GetReflection();
    const auto* f = field.descriptor;
    const int size = r->FieldSize(m, f);
    if (field.required && size == 0)
      return failure("required-field", at, "is required: give it at least one item.");
    if (field.max_items > 0 && static_cast<std::uint32_t>(size) > field.max_items)
      return failure(
          "too-many-items", at,
          "has " + std::to_string(size) + " items; send at most " + std::to_string(field.max_items) + ".");
    for (int i = 0; i < size; ++i) {
      if (field.map) {
        if (!holds_rules) break;
        const Message& entry = r->GetRepeatedMessage(m, f, i);
        const auto key = key_of(entry, *field.message->fields[0].descriptor);
        const FieldPlan& held = field.message->fields[1];
        if (held.message == nullptr) break;
        const Where inside{&at, key, 0};
        const auto* entry_reflection = entry.GetReflection();
        if (auto error = message(entry_reflection->GetMessage(entry, held.descriptor), *held.message, inside,
                                 depth + 1))
          return error;
        continue;
      }
      const Where inside{&at, {}, static_cast<std::size_t>(i)};
      if (auto error = value(m, field, inside, i)) return error;
      if (!holds_rules) continue;
      if (auto error = message(r->GetRepeatedMessage(m, f, i), *field.message, inside, depth + 1))
        return error;
    }
    return std::nullopt;
  }

  static std::string key_of(const Message& entry, const FieldDescriptor& key) {
    const Reflection* r = entry.GetReflection();
    switch (key.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return std::to_string(r->GetInt32(entry, &key));
      case FieldDescriptor::CPPTYPE_INT64:
        return std::to_string(r->GetInt64(entry, &key));
      case FieldDescriptor::CPPTYPE_UINT32:
        return std::to_string(r->GetUInt32(entry, &key));
      case FieldDescriptor::CPPTYPE_UINT64:
        return std::to_string(r->GetUInt64(entry, &key));
      case FieldDescriptor::CPPTYPE_BOOL:
        return r->GetBool(entry, &key) ? "true" : "false";
      default:
        return r->GetString(entry, &key);
    }
  }

  /// One value of the field, which is there.
  Outcome value(const Message& m, const FieldPlan& field, const Where& at, int i) {
    if (!field.rules) return std::nullopt;
    const Reflection* r = m.GetReflection();
    const auto* f = field.descriptor;
    switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string scratch;
        return text(field,
                    f->is_repeated() ? r->GetRepeatedStringReference(m, f, i, &scratch)
                                     : r->GetStringReference(m, f, &scratch),
                    at);
      }
      case FieldDescriptor::CPPTYPE_INT32:
        return number(field, get<std::int32_t>(m, f, i), at);
      case FieldDescriptor::CPPTYPE_INT64:
        return number(field, get<std::int64_t>(m, f, i), at);
      case FieldDescriptor::CPPTYPE_UINT32:
        return number(field, get<std::uint32_t>(m, f, i), at);
      case FieldDescriptor::CPPTYPE_UINT64:
        return number(field, get<std::uint64_t>(m, f, i), at);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return number(field, get<float>(m, f, i), at);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return number(field, get<double>(m, f, i), at);
      case FieldDescriptor::CPPTYPE_BOOL:
        return required_scalar(field, f->is_repeated() || r->GetBool(m, f), at);
      case FieldDescriptor::CPPTYPE_ENUM:
        return required_scalar(field, f->is_repeated() || r->GetEnumValue(m, f) != 0, at);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return std::nullopt;
    }
    return std::nullopt;
  }

  // A field that tracks presence is there when it is zero.
  static Outcome required_scalar(const FieldPlan& field, bool given, const Where& at) {
    if (field.required && !field.presence && !given) return missing(at);
    return std::nullopt;
  }

  template <class Number>
  static Outcome number(const FieldPlan& field, Number n, const Where& at) {
    if (auto error = required_scalar(field, field.descriptor->is_repeated() || n != 0, at)) return error;
    if (!field.range) return std::nullopt;
    const auto [min, max] = *field.range;
    bool good = false;
    if constexpr (std::is_floating_point_v<Number>)
      good = n >= static_cast<Number>(min) && n <= static_cast<Number>(max);  // also refuses NaN
    else
      good = std::cmp_greater_equal(n, min) && std::cmp_less_equal(n, max);
    if (good) return std::nullopt;
    return failure("out-of-range", at,
                   (field.masked() ? "" : "is " + std::to_string(n) + ", but ") + "must be from " +
                       std::to_string(min) + " to " + std::to_string(max) + ".");
  }

  static Outcome text(const FieldPlan& field, const std::string& s, const Where& at) {
    const bool bytes = field.descriptor->type() == FieldDescriptor::TYPE_BYTES;
    const auto shown = field.masked() ? std::string() : "is " + quote(s) + ", but ";
    if (s.empty() && !field.descriptor->is_repeated()) {
      if (field.required) return missing(at);
      if (!field.presence) return std::nullopt;
    }
    if (field.max_length > 0 && s.size() > field.max_length) {
      const auto length = bytes ? s.size() : characters(s);
      if (length > field.max_length)
        return failure("too-long", at,
                       "has " + std::to_string(length) + (bytes ? " bytes" : " characters") +
                           "; send at most " + std::to_string(field.max_length) + ".");
    }
    if (field.name && !is_name(s))
      return failure("invalid-value", at, shown + "must be a name: 1 to 63 of a-z, 0-9 and '-'.");
    if (field.one_of.empty() || std::find(field.one_of.begin(), field.one_of.end(), s) != field.one_of.end())
      return std::nullopt;
    std::string words;
    for (const auto& word : field.one_of) words += (words.empty() ? "" : ", ") + word;
    return failure("invalid-value", at, shown + "must be one of " + words + ".");
  }
};

/// Whether a message changed.
bool clear(Message& m, const Plan& type, bool Plan::*has, bool FieldPlan::*unwanted, int depth) {
  if (!(type.*has)) return false;
  const Reflection* r = m.GetReflection();
  if (type.shape == Shape::any) {
    const auto url = type_url(m);
    const auto held = depth > kDeepestAny ? nullptr : unpack(m);
    if (held != nullptr) {
      if (!clear(*held, plan_of(*held->GetDescriptor()), has, unwanted, depth + 1)) return false;
      pack(m, url, *held);
    } else {
      // What nobody here can read, nobody here may pass on.
      if (m.ByteSizeLong() == 0) return false;
      m.Clear();
    }
    return true;
  }
  bool changed = false;
  for (const FieldPlan& field : type.fields) {
    const auto* f = field.descriptor;
    if (field.*unwanted) {
      const bool set = f->is_repeated() ? r->FieldSize(m, f) > 0 : r->HasField(m, f);
      if (set) r->ClearField(&m, f);
      changed |= set;
    } else if (field.message != nullptr && field.message->*has) {
      if (f->is_repeated()) {
        for (int i = 0, size = r->FieldSize(m, f); i < size; ++i)
          changed |= clear(*r->MutableRepeatedMessage(&m, f, i), *field.message, has, unwanted, depth + 1);
      } else if (r->HasField(m, f)) {
        changed |= clear(*r->MutableMessage(&m, f), *field.message, has, unwanted, depth + 1);
      }
    }
  }
  return changed;
}

void fill(Message& m, const Plan& type, const std::function<std::string()>& uuid) {
  if (!type.has_generated) return;
  const Reflection* r = m.GetReflection();
  for (const FieldPlan& field : type.fields) {
    const auto* f = field.descriptor;
    if (field.generated) {
      std::string scratch;
      if (r->GetStringReference(m, f, &scratch).empty()) r->SetString(&m, f, uuid());
    } else if (field.message != nullptr && field.message->has_generated) {
      if (f->is_repeated()) {
        for (int i = 0, size = r->FieldSize(m, f); i < size; ++i)
          fill(*r->MutableRepeatedMessage(&m, f, i), *field.message, uuid);
      } else if (r->HasField(m, f)) {
        fill(*r->MutableMessage(&m, f), *field.message, uuid);
      }
    }
  }
}

}  // namespace

std::optional<Error> validate(const Message& message) {
  return Checker().message(message, plan_of(*message.GetDescriptor()), {}, 0);
}

void fill(Message& message, const std::function<std::string()>& uuid) {
  fill(message, plan_of(*message.GetDescriptor()), uuid);
}

void clear_internal(Message& message) {
  clear(message, plan_of(*message.GetDescriptor()), &Plan::has_internal, &FieldPlan::internal, 0);
}

void clear_output_only(Message& message) {
  clear(message, plan_of(*message.GetDescriptor()), &Plan::has_output_only, &FieldPlan::output_only, 0);
}

}  // namespace cx::json
