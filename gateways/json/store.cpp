#include "gateways/json/store.hpp"

#include <limits>
#include <vector>

#include "gateways/json/text.hpp"

namespace cx::json {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Kind = Scalar::Kind;

/// One place in a field: of a repeated one, a new one behind the last.
struct Slot {
  Message& message;
  const FieldDescriptor& field;
  const google::protobuf::Reflection& r = *message.GetReflection();
  const bool add = field.is_repeated();

  void set(bool v) { add ? r.AddBool(&message, &field, v) : r.SetBool(&message, &field, v); }
  void set(std::int32_t v) { add ? r.AddInt32(&message, &field, v) : r.SetInt32(&message, &field, v); }
  void set(std::int64_t v) { add ? r.AddInt64(&message, &field, v) : r.SetInt64(&message, &field, v); }
  void set(std::uint32_t v) { add ? r.AddUInt32(&message, &field, v) : r.SetUInt32(&message, &field, v); }
  void set(std::uint64_t v) { add ? r.AddUInt64(&message, &field, v) : r.SetUInt64(&message, &field, v); }
  void set(float v) { add ? r.AddFloat(&message, &field, v) : r.SetFloat(&message, &field, v); }
  void set(double v) { add ? r.AddDouble(&message, &field, v) : r.SetDouble(&message, &field, v); }
  void set(std::string v) {
    add ? r.AddString(&message, &field, std::move(v)) : r.SetString(&message, &field, std::move(v));
  }
  void set_enum(int v) { add ? r.AddEnumValue(&message, &field, v) : r.SetEnumValue(&message, &field, v); }
};

template <class Int>
std::string whole_number() {
  return "a whole number from " + std::to_string(std::numeric_limits<Int>::min()) + " to " +
         std::to_string(std::numeric_limits<Int>::max());
}

std::string enum_names(const EnumPlan& plan) {
  constexpr int kShown = 12;
  std::string names;
  for (int i = 0; i < plan.descriptor->value_count() && i < kShown; ++i)
    names += (i == 0 ? "" : ", ") + plan.descriptor->value(i)->name();
  return "one of " + names + (plan.descriptor->value_count() > kShown ? ", ..." : "");
}

std::string expected(const FieldPlan& field) {
  switch (field.descriptor->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return whole_number<std::int32_t>();
    case FieldDescriptor::CPPTYPE_INT64:
      return whole_number<std::int64_t>();
    case FieldDescriptor::CPPTYPE_UINT32:
      return whole_number<std::uint32_t>();
    case FieldDescriptor::CPPTYPE_UINT64:
      return whole_number<std::uint64_t>();
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return enum_names(*field.enumeration);
    case FieldDescriptor::CPPTYPE_STRING:
      return field.descriptor->type() == FieldDescriptor::TYPE_BYTES ? "a string of base64" : "a string";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return expected(*field.message);
  }
  return "something else";
}

Wrong complain(std::string type, const std::string& wanted, std::string_view found) {
  return {std::move(type), "must be " + wanted + ", but is " + std::string(found) + "."};
}

/// The value as a complaint may name it.
std::string shown(const Scalar& value, bool masked) {
  if (masked) return "another " + std::string(value.kind == Kind::number ? "number" : "text");
  return value.kind == Kind::number && value.text.size() <= 40 ? std::string(value.text) : quote(value.text);
}

Wrong refuse(const FieldPlan& field, const Scalar& value, Read why) {
  const auto* type = why == Read::out_of_range ? "out-of-range" : "invalid-value";
  return complain(type, expected(field), shown(value, field.masked()));
}

template <class Int>
std::optional<Wrong> store_integer(Slot slot, const FieldPlan& field, const Scalar& value) {
  if (value.kind == Kind::boolean) return wrong_type(field, name_of(value.kind));
  Int number = 0;
  if (const auto read = read_integer(value.text, number); read != Read::good) {
    // A string of whatever else is not a number written as a string.
    if (value.kind == Kind::string && !is_number(value.text))
      return wrong_type(field, shown(value, field.masked()));
    return refuse(field, value, read);
  }
  slot.set(number);
  return std::nullopt;
}

template <class Float>
std::optional<Wrong> store_float(Slot slot, const FieldPlan& field, const Scalar& value) {
  if (value.kind == Kind::boolean) return wrong_type(field, name_of(value.kind));
  Float number = 0;
  if (value.kind != Kind::number && value.text == "NaN") {
    number = std::numeric_limits<Float>::quiet_NaN();
  } else if (value.kind != Kind::number && value.text == "Infinity") {
    number = std::numeric_limits<Float>::infinity();
  } else if (value.kind != Kind::number && value.text == "-Infinity") {
    number = -std::numeric_limits<Float>::infinity();
  } else if (const auto read = read_float(value.text, number); read != Read::good) {
    if (value.kind == Kind::string && read == Read::malformed)
      return wrong_type(field, shown(value, field.masked()));
    return refuse(field, value, read);
  }
  slot.set(number);
  return std::nullopt;
}

std::optional<Wrong> store_enum(Slot slot, const FieldPlan& field, const Scalar& value) {
  if (value.kind == Kind::boolean) return wrong_type(field, name_of(value.kind));
  const google::protobuf::EnumValueDescriptor* found = nullptr;
  if (value.kind != Kind::number) found = field.enumeration->find(value.text);
  std::int32_t number = 0;
  if (found == nullptr && value.kind != Kind::string && read_integer(value.text, number) == Read::good)
    found = field.enumeration->descriptor->FindValueByNumber(number);
  if (found == nullptr) return refuse(field, value, Read::malformed);
  slot.set_enum(found->number());
  return std::nullopt;
}

std::optional<Wrong> store_string(Slot slot, const FieldPlan& field, const Scalar& value) {
  if (value.kind != Kind::string && value.kind != Kind::parameter)
    return wrong_type(field, name_of(value.kind));
  if (field.descriptor->type() != FieldDescriptor::TYPE_BYTES) {
    slot.set(std::string(value.text));
    return std::nullopt;
  }
  std::string bytes;
  if (!read_base64(value.text, bytes)) return refuse(field, value, Read::malformed);
  slot.set(std::move(bytes));
  return std::nullopt;
}

/// Paths of a field mask; "" is none.
bool store_mask(Message& into, const FieldDescriptor& paths, std::string_view text) {
  std::vector<std::string> read;
  while (!text.empty()) {
    const auto comma = text.find(',');
    auto path = read_mask_path(text.substr(0, comma));
    if (!path || comma + 1 == text.size()) return false;
    read.push_back(std::move(*path));
    text.remove_prefix(comma == text.npos ? text.size() : comma + 1);
  }
  for (auto& path : read) Slot{into, paths}.set(std::move(path));
  return true;
}

}  // namespace

std::string Where::pointer() const {
  if (holder == nullptr) return "";
  auto out = holder->pointer() + '/';
  if (name.data() == nullptr) return out + std::to_string(index);
  constexpr std::size_t kLongest = 100;
  auto end = std::min(name.size(), kLongest);
  while (end < name.size() && end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;
  for (const char c : name.substr(0, end)) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::number:
      return "a number";
    case Kind::boolean:
      return "true or false";
    default:
      return "a string";
  }
}

std::string expected(const Plan& type) {
  switch (type.shape) {
    case Shape::timestamp:
      return "a time like \"2026-01-31T08:30:00Z\", of the years 1 to 9999";
    case Shape::duration:
      return "a duration in seconds like \"1.5s\", at most 315576000000";
    case Shape::field_mask:
      return "names of fields like \"name,budget.limit\"";
    case Shape::wrapper:
      return expected(type.fields[0]);
    case Shape::value:
      return "a JSON value";
    case Shape::list_value:
      return "a list";
    default:
      return "an object";
  }
}

Wrong wrong_type(const FieldPlan& field, std::string_view found) {
  return complain("wrong-type", expected(field), found);
}

std::optional<Wrong> store(Message& message, const FieldPlan& field, const Scalar& value) {
  const Slot slot{message, *field.descriptor};
  switch (field.descriptor->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return store_integer<std::int32_t>(slot, field, value);
    case FieldDescriptor::CPPTYPE_INT64:
      return store_integer<std::int64_t>(slot, field, value);
    case FieldDescriptor::CPPTYPE_UINT32:
      return store_integer<std::uint32_t>(slot, field, value);
    case FieldDescriptor::CPPTYPE_UINT64:
      return store_integer<std::uint64_t>(slot, field, value);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return store_float<float>(slot, field, value);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return store_float<double>(slot, field, value);
    case FieldDescriptor::CPPTYPE_BOOL:
      if (value.kind != Kind::boolean && value.kind != Kind::parameter)
        return wrong_type(field, name_of(value.kind));
      if (value.text != "true" && value.text != "false") return refuse(field, value, Read::malformed);
      Slot(slot).set(value.text == "true");
      return std::nullopt;
    case FieldDescriptor::CPPTYPE_ENUM:
      return store_enum(slot, field, value);
    case FieldDescriptor::CPPTYPE_STRING:
      return store_string(slot, field, value);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return wrong_type(field, name_of(value.kind));
}

std::optional<Wrong> store_text(Message& into, const Plan& type, const Scalar& value, bool masked) {
  if (value.kind != Kind::string && value.kind != Kind::parameter)
    return complain("wrong-type", expected(type), name_of(value.kind));
  const auto refused = [&](const char* problem) {
    return complain(problem, expected(type), shown(value, masked));
  };
  const auto& first = *type.fields[0].descriptor;
  if (type.shape == Shape::field_mask)
    return store_mask(into, first, value.text) ? std::nullopt : std::optional(refused("invalid-value"));
  Seconds read;
  const auto outcome =
      type.shape == Shape::timestamp ? read_timestamp(value.text, read) : read_duration(value.text, read);
  if (outcome != Read::good) return refused(outcome == Read::malformed ? "invalid-value" : "out-of-range");
  Slot{into, first}.set(read.seconds);
  Slot{into, *type.fields[1].descriptor}.set(read.nanos);
  return std::nullopt;
}

}  // namespace cx::json
