#include "tools/campaignctl/contract/names.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "messages/contract.hpp"
#include "messages/contract_file.hpp"

namespace cx::ctl {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

/// Length of what the names of all values begin with, up to and with a '_'.
std::size_t shared_prefix(const EnumDescriptor& type) {
  std::string_view prefix = type.value(0)->name();
  for (int i = 1; i < type.value_count(); ++i) {
    const std::string_view name = type.value(i)->name();
    const auto differs = std::mismatch(prefix.begin(), prefix.end(), name.begin(), name.end()).first;
    prefix = prefix.substr(0, static_cast<std::size_t>(differs - prefix.begin()));
  }
  const auto end = type.value_count() > 1 ? prefix.rfind('_') : prefix.npos;
  return end == prefix.npos ? 0 : end + 1;
}

// Comments are found by where they stand: numbers of fields of FileDescriptorProto and what it holds, each
// with an index. Building a pool of descriptors for them would take longer than all the rest of a command.
using Path = std::vector<int>;

Path path_of(const Descriptor& type) {
  if (type.containing_type() == nullptr) return {4, type.index()};
  auto path = path_of(*type.containing_type());
  path.insert(path.end(), {3, type.index()});
  return path;
}

Path path_of(const EnumDescriptor& type) {
  if (type.containing_type() == nullptr) return {5, type.index()};
  auto path = path_of(*type.containing_type());
  path.insert(path.end(), {4, type.index()});
  return path;
}

Path path_of(const FieldDescriptor& field) {
  auto path = path_of(*field.containing_type());
  path.insert(path.end(), {2, field.index()});
  return path;
}

/// What doc() takes for a descriptor.
struct Commented {
  const google::protobuf::SourceCodeInfo::Location& location;
  bool GetSourceLocation(google::protobuf::SourceLocation* where) const {
    where->leading_comments = location.leading_comments();
    return true;
  }
};

std::string comment_at(const google::protobuf::FileDescriptor& file, const Path& path) {
  using Comments = std::map<Path, const google::protobuf::SourceCodeInfo::Location*>;
  static std::map<std::string, Comments> known;
  const auto [at, added] = known.try_emplace(file.name());
  if (const auto* source = added ? contract_file(file.name()) : nullptr)
    for (const auto& location : source->source_code_info().location())
      if (!location.leading_comments().empty())
        at->second.emplace(Path(location.path().begin(), location.path().end()), &location);
  const auto found = at->second.find(path);
  return found == at->second.end() ? "" : doc(Commented{*found->second});
}

}  // namespace

std::string short_name(const EnumValueDescriptor& value) {
  std::string out = value.name().substr(shared_prefix(*value.type()));
  for (char& c : out) c = c == '_' ? '-' : is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::vector<std::string> short_names(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i)
    if (auto name = short_name(*type.value(i)); name != "unspecified") names.push_back(std::move(name));
  return names;
}

const EnumValueDescriptor* find_value(const EnumDescriptor& type, std::string_view name) {
  std::string wanted(name);
  for (char& c : wanted) c = c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  const auto prefix = shared_prefix(type);
  for (int i = 0; i < type.value_count(); ++i) {
    std::string full = type.value(i)->name();
    for (char& c : full) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (full == wanted || full.substr(prefix) == wanted) return type.value(i);
  }
  return nullptr;
}

std::string doc_of(const FieldDescriptor& field) {
  return comment_at(*field.file(), path_of(field));
}

std::string doc_of(const google::protobuf::MethodDescriptor& method) {
  return comment_at(*method.file(), {6, method.service()->index(), 2, method.index()});
}

std::string doc_of(const google::protobuf::ServiceDescriptor& service) {
  return comment_at(*service.file(), {6, service.index()});
}

std::string doc_of(const Descriptor& type) {
  return comment_at(*type.file(), path_of(type));
}

std::string doc_of(const EnumDescriptor& type) {
  return comment_at(*type.file(), path_of(type));
}

std::string doc_of(const EnumValueDescriptor& value) {
  auto path = path_of(*value.type());
  path.insert(path.end(), {2, value.index()});
  return comment_at(*value.type()->file(), path);
}

std::string first_sentence(std::string_view text) {
  const auto end = text.find(". ");
  std::string sentence(text.substr(0, end));
  if (end == text.npos && sentence.ends_with('.')) sentence.pop_back();
  return sentence;
}

std::vector<std::string> wrap(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find(' ', begin), text.size());
    const auto word = text.substr(begin, end - begin);
    if (!line.empty() && line.size() + 1 + word.size() > columns) lines.push_back(std::exchange(line, ""));
    if (!line.empty()) line += ' ';
    line += word;
    begin = end + 1;
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

bool is_money(const Descriptor* type) {
  if (type == nullptr || type->field_count() != 2) return false;
  const auto* micros = type->FindFieldByName("micros");
  const auto* currency = type->FindFieldByName("currency");
  return micros != nullptr && micros->cpp_type() == FieldDescriptor::CPPTYPE_INT64 && currency != nullptr &&
         currency->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
}

bool is_well_known(const Descriptor* type) {
  return type != nullptr && type->file()->package() == "google.protobuf";
}

}  // namespace cx::ctl
