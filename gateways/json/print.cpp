#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "gateways/json/any.hpp"
#include "gateways/json/codec.hpp"
#include "gateways/json/plan.hpp"
#include "gateways/json/text.hpp"
#include "runtime/json.hpp"

namespace cx::json {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

// An Any this far inside stays bytes. What is in no Any cannot be deeper than Protobuf's own limit of 100.
constexpr int kDeepestAny = 100;

template <class Number>
void append_number(std::string& out, Number number) {
  std::array<char, 32> text;
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr);
}

template <class Float>
void append_float(std::string& out, Float number) {
  if (std::isfinite(number))
    append_number(out, number);
  else
    out += std::isnan(number) ? "\"NaN\"" : number > 0 ? "\"Infinity\"" : "\"-Infinity\"";
}

template <class Int>
void append_quoted(std::string& out, Int number) {
  out += '"';
  append_number(out, number);
  out += '"';
}

Seconds seconds_of(const Message& message, const Plan& type) {
  const auto* r = message.GetReflection();
  return {r->GetInt64(message, type.fields[0].descriptor), r->GetInt32(message, type.fields[1].descriptor)};
}

class Writer {
 public:
  Writer(std::string& out, const PrintOptions& options) : out_(out), mask_(options.mask) {}

  void message(const Message& m, const Plan& type, int depth) {
    switch (type.shape) {
      case Shape::object:
        return object(m, type, depth);
      case Shape::timestamp:
      case Shape::duration:
        return time(m, type);
      case Shape::field_mask:
        return mask(m, type);
      case Shape::wrapper:
        return value(m, type.fields[0], m.GetReflection(), depth);
      case Shape::any:
        return any(m, depth);
      case Shape::value:
        return any_value(m, type, depth);
      case Shape::structure:
        return map(m, type.fields[0], m.GetReflection(), depth);
      case Shape::list_value:
        return list(m, type.fields[0], m.GetReflection(), depth);
    }
  }

 private:
  void object(const Message& m, const Plan& type, int depth) {
    out_ += '{';
    members(m, type, depth);
    close('}');
  }

  /// A member ends with a comma; the last one's goes here.
  void close(char bracket) {
    if (out_.back() == ',')
      out_.back() = bracket;
    else
      out_ += bracket;
  }

  void members(const Message& m, const Plan& type, int depth) {
    const Reflection* r = m.GetReflection();
    for (const FieldPlan& field : type.fields) {
      if (field.internal || (field.presence && !r->HasField(m, field.descriptor))) continue;
      out_ += field.label;
      if (mask_ && field.masked())
        out_ += "\"***\"";
      else if (field.list)
        list(m, field, r, depth);
      else if (field.map)
        map(m, field, r, depth);
      else
        value(m, field, r, depth);
      out_ += ',';
    }
  }

  void value(const Message& m, const FieldPlan& field, const Reflection* r, int depth) {
    const auto* f = field.descriptor;
    switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return append_number(out_, r->GetInt32(m, f));
      case FieldDescriptor::CPPTYPE_INT64:
        return append_quoted(out_, r->GetInt64(m, f));
      case FieldDescriptor::CPPTYPE_UINT32:
        return append_number(out_, r->GetUInt32(m, f));
      case FieldDescriptor::CPPTYPE_UINT64:
        return append_quoted(out_, r->GetUInt64(m, f));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return append_float(out_, r->GetFloat(m, f));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return append_float(out_, r->GetDouble(m, f));
      case FieldDescriptor::CPPTYPE_BOOL:
        return boolean(r->GetBool(m, f));
      case FieldDescriptor::CPPTYPE_ENUM:
        return enumeration(*f, r->GetEnumValue(m, f));
      case FieldDescriptor::CPPTYPE_STRING:
        return text(*f, r->GetStringReference(m, f, &scratch_));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return message(r->GetMessage(m, f), *field.message, depth + 1);
    }
  }

  void list(const Message& m, const FieldPlan& field, const Reflection* r, int depth) {
    out_ += '[';
    const int size = r->FieldSize(m, field.descriptor);
    for (int i = 0; i < size; ++i) {
      element(m, field, r, i, depth);
      out_ += ',';
    }
    close(']');
  }

  void element(const Message& m, const FieldPlan& field, const Reflection* r, int i, int depth) {
    const auto* f = field.descriptor;
    switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return append_number(out_, r->GetRepeatedInt32(m, f, i));
      case FieldDescriptor::CPPTYPE_INT64:
        return append_quoted(out_, r->GetRepeatedInt64(m, f, i));
      case FieldDescriptor::CPPTYPE_UINT32:
        return append_number(out_, r->GetRepeatedUInt32(m, f, i));
      case FieldDescriptor::CPPTYPE_UINT64:
        return append_quoted(out_, r->GetRepeatedUInt64(m, f, i));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return append_float(out_, r->GetRepeatedFloat(m, f, i));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return append_float(out_, r->GetRepeatedDouble(m, f, i));
      case FieldDescriptor::CPPTYPE_BOOL:
        return boolean(r->GetRepeatedBool(m, f, i));
      case FieldDescriptor::CPPTYPE_ENUM:
        return enumeration(*f, r->GetRepeatedEnumValue(m, f, i));
      case FieldDescriptor::CPPTYPE_STRING:
        return text(*f, r->GetRepeatedStringReference(m, f, i, &scratch_));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return message(r->GetRepeatedMessage(m, f, i), *field.message, depth + 1);
    }
  }

  void boolean(bool b) { out_ += b ? "true" : "false"; }

  void enumeration(const FieldDescriptor& f, int number) {
    const auto* known = f.enum_type()->FindValueByNumber(number);
    if (f.enum_type()->full_name() == "google.protobuf.NullValue")
      out_ += "null";
    else if (known == nullptr)
      append_number(out_, number);
    else
      out_.append(1, '"').append(known->name()).append(1, '"');
  }

  void text(const FieldDescriptor& f, const std::string& s) {
    if (f.type() != FieldDescriptor::TYPE_BYTES) return append_json(out_, s);
    out_ += '"';
    append_base64(out_, s);
    out_ += '"';
  }

  /// By ascending key: equal messages give equal text.
  void map(const Message& m, const FieldPlan& field, const Reflection* r, int depth) {
    const FieldPlan& key = field.message->fields[0];
    const FieldPlan& held = field.message->fields[1];
    const int size = r->FieldSize(m, field.descriptor);
    std::vector<std::pair<std::string, const Message*>> entries;
    entries.reserve(static_cast<std::size_t>(size));
    for (int i = 0; i < size; ++i) {
      const Message& entry = r->GetRepeatedMessage(m, field.descriptor, i);
      entries.emplace_back(key_of(entry, key), &entry);
    }
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    out_ += '{';
    for (const auto& [name, entry] : entries) {
      out_.append(name).append(1, ':');
      value(*entry, held, entry->GetReflection(), depth);
      out_ += ',';
    }
    close('}');
  }

  /// The key in quotes.
  std::string key_of(const Message& entry, const FieldPlan& key) {
    std::string name;
    std::swap(out_, name);
    value(entry, key, entry.GetReflection(), 0);
    std::swap(out_, name);
    return name.starts_with('"') ? name : '"' + name + '"';
  }

  void time(const Message& m, const Plan& type) {
    const auto begin = out_.size();
    const auto seconds = seconds_of(m, type);
    out_ += '"';
    const bool good =
        type.shape == Shape::timestamp ? append_timestamp(out_, seconds) : append_duration(out_, seconds);
    if (good)
      out_ += '"';
    else
      out_.replace(begin, out_.npos, "null");
  }

  void mask(const Message& m, const Plan& type) {
    const Reflection* r = m.GetReflection();
    const auto* paths = type.fields[0].descriptor;
    std::string text;
    for (int i = 0, size = r->FieldSize(m, paths); i < size; ++i) {
      if (i > 0) text += ',';
      append_mask_path(text, r->GetRepeatedStringReference(m, paths, i, &scratch_));
    }
    append_json(out_, text);
  }

  void any_value(const Message& m, const Plan& type, int depth) {
    const Reflection* r = m.GetReflection();
    const auto* set = r->GetOneofFieldDescriptor(m, type.descriptor->oneof_decl(0));
    if (set == nullptr)
      out_ += "null";
    else
      value(m, type.fields[static_cast<std::size_t>(set->index())], r, depth);
  }

  void any(const Message& m, int depth) {
    const auto url = type_url(m);
    if (url.empty()) {
      out_ += "{}";
      return;
    }
    out_ += "{\"@type\":";
    append_json(out_, url);
    out_ += ',';
    const auto held = depth < kDeepestAny ? unpack(m) : nullptr;
    if (held == nullptr) {
      out_ += "\"value\":";
      const auto* bytes = m.GetDescriptor()->FindFieldByNumber(2);
      text(*bytes, m.GetReflection()->GetStringReference(m, bytes, &scratch_));
    } else {
      const Plan& type = plan_of(*held->GetDescriptor());
      if (type.shape == Shape::object) {
        members(*held, type, depth + 1);
      } else {
        out_ += "\"value\":";
        message(*held, type, depth + 1);
      }
    }
    close('}');
  }

  std::string& out_;
  std::string scratch_;
  bool mask_;
};

}  // namespace

void print(const Message& message, std::string& out, const PrintOptions& options) {
  Writer(out, options).message(message, plan_of(*message.GetDescriptor()), 0);
}

std::string print(const Message& message, const PrintOptions& options) {
  std::string out;
  print(message, out, options);
  return out;
}

}  // namespace cx::json
