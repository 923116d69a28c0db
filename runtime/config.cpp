#include "runtime/config.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <limits>
#include <yaml-cpp/yaml.h>

#include "cx/v1/options.pb.h"
#include "messages/contract.hpp"
#include "runtime/address.hpp"

namespace cx {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

Error invalid(std::string detail) {
  return {Code::invalid_argument, "invalid-configuration", std::move(detail), ""};
}

std::string join(const google::protobuf::RepeatedPtrField<std::string>& words, const char* separator) {
  return fmt::format("{}", fmt::join(words.begin(), words.end(), separator));
}

std::string field_names(const Descriptor& type) {
  std::string names;
  for (int i = 0; i < type.field_count(); ++i) names += (i == 0 ? "" : ", ") + type.field(i)->name();
  return names;
}

std::string type_text(const FieldDescriptor& field) {
  const auto& options = field.options();
  if (options.ExtensionSize(v1::one_of) > 0) return join(options.GetRepeatedExtension(v1::one_of), "|");
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) return "true|false";
  if (options.GetExtension(v1::name)) return "1 to 63 of a-z, 0-9, -";
  if (field.is_repeated()) return "text,text";
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) return "text";
  if (!options.HasExtension(v1::range)) return "number";
  const auto& range = options.GetExtension(v1::range);
  return fmt::format("number {}..{}", range.min(), range.max());
}

/// Parses `text` into the scalar `field`, or as one more element of it; an error says what the value must be.
std::optional<std::string> set_scalar(Message& message, const FieldDescriptor& field,
                                      const std::string& text) {
  const auto* reflection = message.GetReflection();
  if (field.is_repeated() && field.cpp_type() != FieldDescriptor::CPPTYPE_STRING)
    return "cannot be set by configuration";
  const auto wrong = [&] { return fmt::format("is '{}'; it must be {}", text, type_text(field)); };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      const auto& allowed = field.options().GetRepeatedExtension(v1::one_of);
      if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), text) == allowed.end())
        return wrong();
      if (field.options().GetExtension(v1::name) && !is_name(text)) return wrong();
      if (field.is_repeated())
        reflection->AddString(&message, &field, text);
      else
        reflection->SetString(&message, &field, text);
      return std::nullopt;
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return wrong();
      reflection->SetBool(&message, &field, text == "true");
      return std::nullopt;
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64: {
      std::uint64_t number = 0;
      const char* end = text.data() + text.size();
      const auto [stop, failure] = std::from_chars(text.data(), end, number);
      if (failure != std::errc{} || stop != end) return wrong();
      const bool narrow = field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32;
      if (narrow && number > std::numeric_limits<std::uint32_t>::max()) return wrong();
      if (field.options().HasExtension(v1::range)) {
        const auto& range = field.options().GetExtension(v1::range);
        if (number < static_cast<std::uint64_t>(range.min()) ||
            number > static_cast<std::uint64_t>(range.max()))
          return wrong();
      }
      if (narrow)
        reflection->SetUInt32(&message, &field, static_cast<std::uint32_t>(number));
      else
        reflection->SetUInt64(&message, &field, number);
      return std::nullopt;
    }
    default:
      return "cannot be set by configuration";
  }
}

class YamlReader {
 public:
  explicit YamlReader(const std::string& source) : source_(source) {}

  std::optional<Error> read(const YAML::Node& node, Message& message, const std::string& path) const {
    if (node.IsNull()) return std::nullopt;
    if (!node.IsMap())
      return at(node, path.empty() ? "the document" : path, "must be a mapping of keys to values");
    std::vector<std::string> seen;
    for (const auto& entry : node) {
      const auto name = entry.first.as<std::string>("");
      const auto key = path.empty() ? name : path + '.' + name;
      const auto* field = message.GetDescriptor()->FindFieldByName(name);
      if (field == nullptr)
        return at(entry.first, key,
                  "is not a key here; known keys are " + field_names(*message.GetDescriptor()));
      if (std::find(seen.begin(), seen.end(), name) != seen.end())
        return at(entry.first, key, "stands here twice");
      seen.push_back(name);
      if (auto error = read_field(entry.second, message, *field, key)) return error;
    }
    return std::nullopt;
  }

 private:
  std::optional<Error> read_field(const YAML::Node& node, Message& message, const FieldDescriptor& field,
                                  const std::string& key) const {
    const auto* reflection = message.GetReflection();
    if (field.is_map()) return read_map(node, message, field, key);
    if (field.is_repeated()) return read_list(node, message, field, key);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      return read(node, *reflection->MutableMessage(&message, &field), key);
    if (!node.IsScalar()) return at(node, key, "must be a single value: " + type_text(field));
    if (auto wrong = set_scalar(message, field, node.Scalar())) return at(node, key, *wrong);
    return std::nullopt;
  }

  // Of texts or messages: what the document says replaces what was there.
  std::optional<Error> read_list(const YAML::Node& node, Message& message, const FieldDescriptor& field,
                                 const std::string& key) const {
    const auto* reflection = message.GetReflection();
    if (!node.IsSequence())
      return at(node, key, "must be a list: one line '- value' each, or [value, value]");
    reflection->ClearField(&message, &field);
    for (const auto& item : node) {
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        const auto number = std::to_string(reflection->FieldSize(message, &field) + 1);
        auto* element = reflection->AddMessage(&message, &field);
        if (auto error = read(item, *element, key + '.' + number)) return error;
        if (auto error = missing(item, *element, key + '.' + number)) return error;
        continue;
      }
      if (!item.IsScalar()) return at(item, key, "must hold single values");
      if (auto wrong = set_scalar(message, field, item.Scalar())) return at(item, key, *wrong);
    }
    return std::nullopt;
  }

  // An element of a list has no defaults.
  std::optional<Error> missing(const YAML::Node& node, const Message& message, const std::string& key) const {
    const auto& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      const auto& field = *type.field(i);
      if (field.is_repeated() || !field.options().GetExtension(v1::required)) continue;
      if (!message.GetReflection()->HasField(message, &field))
        return at(node, key, fmt::format("must have a value for {}", field.name()));
    }
    return std::nullopt;
  }

  // map<string, string>: what the document says replaces what was there.
  std::optional<Error> read_map(const YAML::Node& node, Message& message, const FieldDescriptor& field,
                                const std::string& key) const {
    const auto* reflection = message.GetReflection();
    if (!node.IsMap()) return at(node, key, "must be a mapping of names to values");
    reflection->ClearField(&message, &field);
    std::vector<std::string> seen;
    for (const auto& entry : node) {
      const auto name = entry.first.as<std::string>("");
      if (std::find(seen.begin(), seen.end(), name) != seen.end())
        return at(entry.first, key + '.' + name, "stands here twice");
      seen.push_back(name);
      auto* slot = reflection->AddMessage(&message, &field);
      const auto& type = *field.message_type();
      if (!entry.second.IsScalar()) return at(entry.second, key, "must map each name to a single value");
      slot->GetReflection()->SetString(slot, type.map_key(), name);
      if (auto wrong = set_scalar(*slot, *type.map_value(), entry.second.Scalar()))
        return at(entry.second, key, *wrong);
    }
    return std::nullopt;
  }

  Error at(const YAML::Node& node, const std::string& key, const std::string& what) const {
    const auto mark = node.Mark();
    return invalid(fmt::format("{}:{}:{}: {} {}.", source_, mark.line + 1, mark.column + 1, key, what));
  }

  const std::string& source_;
};

void collect(const Descriptor& type, const std::string& prefix, std::vector<Setting>& out) {
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    if (field.is_repeated() && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) continue;  // maps, too
    const auto key = prefix + field.name();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      collect(*field.message_type(), key + '.', out);
      continue;
    }
    auto flag = "--" + key;
    std::replace_if(
        flag.begin(), flag.end(), [](char c) { return c == '.' || c == '_'; }, '-');
    // Options of the contract's own pool hold our extensions as unknown fields; the generated pool knows
    // them.
    const auto* generated =
        google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type.full_name());
    out.push_back({key, flag, doc(field), type_text(*generated->field(i))});
  }
}

/// The message that holds leaf `key` and the leaf's field; the field is null where there is none.
std::pair<Message*, const FieldDescriptor*> find_leaf(Message& config, std::string_view key) {
  Message* message = &config;
  for (;;) {
    const auto dot = key.find('.');
    const auto* field = message->GetDescriptor()->FindFieldByName(std::string(key.substr(0, dot)));
    if (field == nullptr || dot == key.npos) return {message, field};
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated())
      return {message, nullptr};
    message = message->GetReflection()->MutableMessage(message, field);
    key.remove_prefix(dot + 1);
  }
}

}  // namespace

std::optional<Error> read_yaml(std::string_view yaml, const std::string& source, Message& config) {
  try {
    const auto documents = YAML::LoadAll(std::string(yaml));
    if (documents.empty()) return std::nullopt;
    if (documents.size() > 1)
      return invalid(fmt::format("{}:{}:1: a second document starts here; put everything into one.", source,
                                 documents[1].Mark().line + 1));
    return YamlReader(source).read(documents[0], config, "");
  } catch (const YAML::Exception& e) {
    return invalid(fmt::format("{}:{}:{}: not YAML: {}.", source, e.mark.line + 1, e.mark.column + 1, e.msg));
  }
}

std::optional<Error> read_yaml_file(const std::string& path, Message& config) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad())
    return invalid(fmt::format("{}: cannot be read; check the path and its permissions.", path));
  return read_yaml(text, path, config);
}

std::vector<Setting> settings_of(const std::string& message_name) {
  std::vector<Setting> out;
  collect(*contract().FindMessageTypeByName(message_name), "", out);
  return out;
}

std::optional<Error> set_setting(Message& config, std::string_view key, const std::string& value,
                                 const std::string& source) {
  const auto [message, field] = find_leaf(config, key);
  if (field == nullptr) return invalid(fmt::format("{}: there is no setting '{}'.", source, key));
  if (field->is_repeated()) {
    message->GetReflection()->ClearField(message, field);
    for (std::size_t begin = 0; begin < value.size();) {
      const auto end = std::min(value.find(',', begin), value.size());
      if (auto wrong = set_scalar(*message, *field, value.substr(begin, end - begin)))
        return invalid(fmt::format("{}: {} {}.", source, key, *wrong));
      begin = end + 1;
    }
    return std::nullopt;
  }
  if (auto wrong = set_scalar(*message, *field, value))
    return invalid(fmt::format("{}: {} {}.", source, key, *wrong));
  return std::nullopt;
}

std::string get_setting(const Message& config, std::string_view key) {
  std::unique_ptr<Message> copy(config.New());  // finding a leaf may create the messages on the way
  copy->CopyFrom(config);
  const auto [message, field] = find_leaf(*copy, key);
  const auto* reflection = message->GetReflection();
  if (field->is_repeated()) {
    std::string all;
    for (int i = 0; i < reflection->FieldSize(*message, field); ++i)
      all.append(i == 0 ? "" : ",").append(reflection->GetRepeatedString(*message, field, i));
    return all;
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->GetString(*message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(*message, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(reflection->GetUInt32(*message, field));
    default:
      return std::to_string(reflection->GetUInt64(*message, field));
  }
}

}  // namespace cx
