#include <simdjson.h>

#include "gateways/json/codec.hpp"
#include "gateways/json/plan.hpp"
#include "gateways/json/store.hpp"
#include "gateways/json/text.hpp"

namespace cx::json {
namespace {

std::string parameter(std::string_view path) {
  return "The parameter " + quote(path);
}

Error failure(std::string type, const Where& at, std::string detail) {
  return {Code::invalid_argument, std::move(type), std::move(detail), at.pointer()};
}

bool is_text(const Plan& type) {
  return type.shape == Shape::timestamp || type.shape == Shape::duration || type.shape == Shape::field_mask;
}

/// The message of a field to set; of a list a new one.
Message& reach(Message& message, const FieldPlan& field) {
  const auto* reflection = message.GetReflection();
  return field.list ? *reflection->AddMessage(&message, field.descriptor)
                    : *reflection->MutableMessage(&message, field.descriptor);
}

class Setter {
 public:
  Setter(std::string_view path, std::string_view text) : path_(path), value_{Scalar::Kind::parameter, text} {}

  std::optional<Error> set(Message& message, std::string_view rest, const Where& holder, int depth) {
    const auto dot = rest.find('.');
    const Where at{&holder, rest.substr(0, dot), 0};
    const Plan& plan = plan_of(*message.GetDescriptor());
    const FieldPlan* field = plan.shape == Shape::object ? plan.find(at.name) : nullptr;
    if (field == nullptr || depth > kMaxDepth)
      return failure("unknown-field", at,
                     parameter(path_) + " is unknown: " + plan.descriptor->name() + " has no field " +
                         quote(at.name) + "; " + plan.suggest(at.name));
    if (field->output_only) return std::nullopt;
    if (auto error = check_oneof(message, *field, at)) return error;
    if (dot == rest.npos) return set_leaf(message, *field, at);
    const bool holds =
        field->message != nullptr && !field->map && !field->list && field->message->shape == Shape::object;
    if (!holds)
      return failure("unknown-field", at,
                     parameter(path_) + " is unknown: " + field->descriptor->name() +
                         " holds no fields that a parameter could set; name it alone.");
    return set(reach(message, *field), rest.substr(dot + 1), at, depth + 1);
  }

 private:
  std::optional<Error> set_leaf(Message& message, const FieldPlan& field, const Where& at) {
    std::optional<Wrong> wrong;
    if (field.message == nullptr) {
      wrong = store(message, field, value_);
    } else if (!field.map && is_text(*field.message)) {
      auto& into = reach(message, field);
      into.Clear();
      wrong = store_text(into, *field.message, value_, field.masked());
    } else if (!field.map && field.message->shape == Shape::wrapper) {
      wrong = store(reach(message, field), field.message->fields[0], value_);
    } else {
      wrong = Wrong{"wrong-type",
                    "cannot be a parameter: it is not a single value. Send it in the body, or name one of "
                    "its fields behind a dot."};
    }
    if (!wrong) return std::nullopt;
    return failure(std::move(wrong->type), at, parameter(path_) + ' ' + wrong->words);
  }

  std::optional<Error> check_oneof(const Message& message, const FieldPlan& field, const Where& at) {
    const auto* oneof = field.descriptor->real_containing_oneof();
    if (oneof == nullptr) return std::nullopt;
    const auto* set = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
    if (set == nullptr || set == field.descriptor) return std::nullopt;
    return failure("oneof-conflict", at,
                   parameter(path_) + " and " + set->name() + " exclude each other; send only one of them.");
  }

  std::string_view path_;
  Scalar value_;
};

}  // namespace

std::optional<Error> set_field(Message& message, std::string_view path, std::string_view text) {
  const auto utf8 = [](std::string_view s) { return simdjson::validate_utf8(s.data(), s.size()); };
  if (!utf8(path))
    return failure("unknown-field", {}, "A parameter's name is not valid UTF-8; percent-encode it as UTF-8.");
  if (path.data() == nullptr) path = "";  // Where takes no name for an index
  const Where root;
  if (!utf8(text))
    return failure("invalid-value", {&root, path, 0},
                   parameter(path) + " is not valid UTF-8; percent-encode it as UTF-8.");
  return Setter(path, text).set(message, path, root, 1);
}

}  // namespace cx::json
