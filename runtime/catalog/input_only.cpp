#include "runtime/catalog/input_only.hpp"

#include <google/protobuf/util/message_differencer.h>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "cx/v1/options.pb.h"

namespace cx {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool is_input_only(const FieldDescriptor& field) {
  return field.options().GetExtension(v1::input_only);
}

/// `seen`: types may contain themselves.
bool search(const Descriptor& type, std::set<const Descriptor*>& seen) {
  if (!seen.insert(&type).second) return false;
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    if (is_input_only(field) || (field.message_type() != nullptr && search(*field.message_type(), seen)))
      return true;
  }
  return false;
}

bool is_set(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  return field.is_repeated() ? reflection.FieldSize(message, &field) > 0
                             : reflection.HasField(message, &field);
}

/// Whether two messages differ in nothing that is shown.
bool same_shown(const Message& a, const Message& b) {
  const std::unique_ptr<Message> one(a.New()), other(b.New());
  one->CopyFrom(a);
  other->CopyFrom(b);
  strip_input_only(*one);
  strip_input_only(*other);
  return google::protobuf::util::MessageDifferencer::Equals(*one, *other);
}

}  // namespace

bool has_input_only(const Descriptor& type) {
  std::set<const Descriptor*> seen;
  return search(type, seen);
}

void strip_input_only(Message& message) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const auto* field : fields) {
    if (is_input_only(*field)) {
      reflection.ClearField(&message, field);
    } else if (field->message_type() == nullptr) {
      continue;
    } else if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i)
        strip_input_only(*reflection.MutableRepeatedMessage(&message, field, i));
    } else {
      strip_input_only(*reflection.MutableMessage(&message, field));
    }
  }
}

void keep_input_only(Message& into, const Message& before) {
  const auto& type = *into.GetDescriptor();
  const auto& reflection = *into.GetReflection();
  std::optional<bool> same;
  for (int i = 0; i < type.field_count(); ++i) {
    const auto* field = type.field(i);
    if (!is_set(before, *field)) continue;
    if (is_input_only(*field)) {
      if (is_set(into, *field)) continue;
      if (!same) same = same_shown(into, before);
      if (!*same) continue;
      const std::unique_ptr<Message> copy(before.New());
      copy->CopyFrom(before);
      reflection.SwapFields(&into, copy.get(), {field});
    } else if (field->message_type() != nullptr && !field->is_repeated() && is_set(into, *field)) {
      keep_input_only(*reflection.MutableMessage(&into, field), reflection.GetMessage(before, field));
    }
  }
}

}  // namespace cx
