#include "tests/gateways/json/random_message.hpp"

#include <array>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <limits>
#include <string_view>

#include "kinds.pb.h"
#include "messages/contract.hpp"

namespace cx::test {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
namespace pb = google::protobuf;

class Filler {
 public:
  Filler(Random& random, const std::vector<const Message*>& any_types)
      : random_(random), any_types_(any_types) {}

  void fill(Message& message, int depth) {
    if (special(message, depth)) return;
    const auto& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      const auto& field = *type.field(i);
      const bool nested = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field.is_map();
      if (below(2) == 0 || (nested && depth > 4)) continue;
      const auto& name = field.message_type() != nullptr ? field.message_type()->full_name() : "";
      if (name == "google.protobuf.Any" && any_types_.empty()) continue;
      if (field.is_map()) {
        map(message, field, depth);
        continue;
      }
      const auto count = field.is_repeated() ? below(4) : 1;
      for (std::uint64_t k = 0; k < count; ++k) set(message, field, depth);
    }
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  template <class Int>
  Int integer() {
    switch (below(4)) {
      case 0:
        return std::numeric_limits<Int>::min();
      case 1:
        return std::numeric_limits<Int>::max();
      case 2:
        return static_cast<Int>(below(3));
      default:
        return static_cast<Int>(random_());
    }
  }

  template <class Float>
  Float number() {
    switch (below(6)) {
      case 0:
        return std::numeric_limits<Float>::max();
      case 1:
        return -std::numeric_limits<Float>::infinity();
      case 2:
        return std::numeric_limits<Float>::min();
      case 3:
        return static_cast<Float>(static_cast<std::int64_t>(random_()));
      default:
        return static_cast<Float>(below(1'000'000)) / Float(1000);
    }
  }

  std::string text() {
    static constexpr std::array<std::string_view, 14> kPieces = {
        "a",    "Z", "0", " ", "\"",    "\\", "/", "\n", std::string_view("\0", 1),
        "\x7f", "é", "€", "😀", "\u2028"};
    std::string out;
    for (auto n = below(8); n > 0; --n) out += kPieces[below(kPieces.size())];
    return out;
  }

  std::string bytes() {
    std::string out;
    for (auto n = below(8); n > 0; --n) out += static_cast<char>(random_());
    return out;
  }

  void set(Message& m, const FieldDescriptor& field, int depth) {
    const auto* r = m.GetReflection();
    const auto* f = &field;
    const bool add = f->is_repeated();
    switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return add ? r->AddInt32(&m, f, integer<std::int32_t>())
                   : r->SetInt32(&m, f, integer<std::int32_t>());
      case FieldDescriptor::CPPTYPE_INT64:
        return add ? r->AddInt64(&m, f, integer<std::int64_t>())
                   : r->SetInt64(&m, f, integer<std::int64_t>());
      case FieldDescriptor::CPPTYPE_UINT32:
        return add ? r->AddUInt32(&m, f, integer<std::uint32_t>())
                   : r->SetUInt32(&m, f, integer<std::uint32_t>());
      case FieldDescriptor::CPPTYPE_UINT64:
        return add ? r->AddUInt64(&m, f, integer<std::uint64_t>())
                   : r->SetUInt64(&m, f, integer<std::uint64_t>());
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return add ? r->AddDouble(&m, f, number<double>()) : r->SetDouble(&m, f, number<double>());
      case FieldDescriptor::CPPTYPE_FLOAT:
        return add ? r->AddFloat(&m, f, number<float>()) : r->SetFloat(&m, f, number<float>());
      case FieldDescriptor::CPPTYPE_BOOL:
        return add ? r->AddBool(&m, f, below(2) == 1) : r->SetBool(&m, f, below(2) == 1);
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto* value = f->enum_type()->value(
            static_cast<int>(below(static_cast<std::uint64_t>(f->enum_type()->value_count()))));
        return add ? r->AddEnum(&m, f, value) : r->SetEnum(&m, f, value);
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        auto value = f->type() == FieldDescriptor::TYPE_BYTES ? bytes() : text();
        return add ? r->AddString(&m, f, std::move(value)) : r->SetString(&m, f, std::move(value));
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return fill(add ? *r->AddMessage(&m, f) : *r->MutableMessage(&m, f), depth + 1);
    }
  }

  void map(Message& m, const FieldDescriptor& field, int depth) {
    const auto* r = m.GetReflection();
    if (field.message_type()->map_value()->type() == FieldDescriptor::TYPE_MESSAGE && depth > 4) return;
    for (std::uint64_t i = 0, count = below(3); i < count; ++i) {
      auto& entry = *r->AddMessage(&m, &field);
      set(entry, *field.message_type()->map_key(), depth);
      set(entry, *field.message_type()->map_value(), depth);
    }
    // The entries as a map: of equal keys the last one stays.
    std::unique_ptr<Message> copy(m.New());
    copy->ParseFromString(m.SerializeAsString());
    m.GetReflection()->Swap(&m, copy.get());
  }

  bool special(Message& message, int depth) {
    if (auto* time = dynamic_cast<pb::Timestamp*>(&message)) {
      time->set_seconds(static_cast<std::int64_t>(below(315'537'897'600)) - 62'135'596'800);
      time->set_nanos(nanos());
    } else if (auto* duration = dynamic_cast<pb::Duration*>(&message)) {
      const int sign = below(2) == 0 ? 1 : -1;
      duration->set_seconds(sign * static_cast<std::int64_t>(below(315'576'000'000)));
      duration->set_nanos(sign * nanos());
    } else if (auto* mask = dynamic_cast<pb::FieldMask*>(&message)) {
      for (auto n = below(3); n > 0; --n) mask->add_paths(below(2) == 0 ? "name" : "budget.daily_limit");
    } else if (auto* value = dynamic_cast<pb::Value*>(&message)) {
      this->value(*value, depth);
    } else if (auto* any = dynamic_cast<pb::Any*>(&message)) {
      if (any_types_.empty() || depth > 4) return true;
      const std::unique_ptr<Message> held(any_types_[below(any_types_.size())]->New());
      fill(*held, depth + 1);
      any->PackFrom(*held);
    } else {
      return false;
    }
    return true;
  }

  std::int32_t nanos() {
    static constexpr std::array<std::int32_t, 5> kNanos = {0, 500'000'000, 123'000, 1, 999'999'999};
    return kNanos[below(kNanos.size())];
  }

  void value(pb::Value& value, int depth) {
    switch (below(depth > 4 ? 4 : 6)) {
      case 0:
        return value.set_null_value(pb::NULL_VALUE);
      case 1:
        return value.set_number_value(static_cast<double>(below(1'000'000)) / 1000);
      case 2:
        return value.set_string_value(text());
      case 3:
        return value.set_bool_value(below(2) == 1);
      case 4:
        for (auto n = below(3); n > 0; --n)
          this->value((*value.mutable_struct_value()->mutable_fields())[text()], depth + 1);
        value.mutable_struct_value();
        return;
      default:
        for (auto n = below(3); n > 0; --n) this->value(*value.mutable_list_value()->add_values(), depth + 1);
        value.mutable_list_value();
        return;
    }
  }

  Random& random_;
  const std::vector<const Message*>& any_types_;
};

void collect(const pb::Descriptor& type, std::vector<const Message*>& out) {
  if (type.options().map_entry()) return;
  out.push_back(pb::MessageFactory::generated_factory()->GetPrototype(&type));
  for (int i = 0; i < type.nested_type_count(); ++i) collect(*type.nested_type(i), out);
}

}  // namespace

void fill_randomly(Message& message, Random& random, const std::vector<const Message*>& any_types) {
  Filler(random, any_types).fill(message, 0);
}

std::vector<const Message*> all_types() {
  std::vector<const pb::FileDescriptor*> files = {json::Everything::descriptor()->file()};
  for_each_service([&](const pb::ServiceDescriptor& service) {
    if (std::find(files.begin(), files.end(), service.file()) == files.end()) files.push_back(service.file());
  });
  std::vector<const Message*> out;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto* file = files[i];
    for (int k = 0; k < file->dependency_count(); ++k) {
      const auto* dependency = file->dependency(k);
      if (dependency->package() != "google.protobuf" &&
          std::find(files.begin(), files.end(), dependency) == files.end())
        files.push_back(dependency);
    }
    for (int k = 0; k < file->message_type_count(); ++k) collect(*file->message_type(k), out);
  }
  return out;
}

}  // namespace cx::test
