#include "tools/campaignctl/contract/inputs.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>

#include "tools/campaignctl/cli.hpp"
#include "tools/campaignctl/contract/names.hpp"
#include "tools/campaignctl/document.hpp"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"
#include "tools/campaignctl/when.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using Path = std::vector<const FieldDescriptor*>;
using Kind = Input::Kind;

constexpr std::size_t kMaxDepth = 4;  ///< of messages in a request that get flags; -f has no such limit

std::string dotted(const Path& path, std::string (*spell)(std::string_view)) {
  std::string out;
  for (const auto* field : path) out.append(out.empty() ? "" : ".").append(spell(field->name()));
  return out;
}

std::string as_is(std::string_view name) {
  return std::string(name);
}

/// What help calls a value of the field.
std::string value_name(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return field.is_repeated() ? "true|false" : "";
    case FieldDescriptor::CPPTYPE_ENUM:
      return upper(kebab(field.enum_type()->name()));
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_BYTES ? "BASE64" : "TEXT";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (field.message_type()->full_name() == "google.protobuf.Timestamp") return "TIME";
      if (field.message_type()->full_name() == "google.protobuf.Duration") return "SPAN";
      if (field.message_type()->full_name() == "google.protobuf.FieldMask") return "FIELDS";
      return "JSON";
    default:
      return "N";
  }
}

std::string bounds(const FieldDescriptor& field) {
  if (!field.options().HasExtension(v1::range)) return "";
  const auto& range = field.options().GetExtension(v1::range);
  return range.max() > 1'000'000'000'000 ? fmt::format(", {} or more", range.min())
                                         : fmt::format(", {} to {}", range.min(), range.max());
}

Input input_for(const Path& path, const Method& method) {
  const FieldDescriptor& field = *path.back();
  Input input;
  input.path = path;
  input.flag.value = value_name(field);
  if (field.is_map()) {
    input.kind = Kind::map;
    input.flag.value = "KEY=VALUE";
  } else if (is_money(field.message_type()) && !field.is_repeated()) {
    input.kind = Kind::money;
    input.flag.value = "AMOUNT";
  } else if (field.options().GetExtension(v1::secret)) {
    input.kind = Kind::secret;
    input.flag.value = "FILE";
    input.flag.offer = Offer::files;
  } else if (field.message_type() != nullptr && !is_well_known(field.message_type())) {
    input.kind = Kind::object;
    input.flag.value = "KEY=VALUE,...";
  }
  if (field.enum_type() != nullptr) input.flag.choices = short_names(*field.enum_type());
  for (const auto& word : field.options().GetRepeatedExtension(v1::one_of))
    input.flag.choices.push_back(word);
  input.ahead = method.effect != v1::EFFECT_READS || field.name() == "to";
  input.flag.required = std::all_of(path.begin(), path.end(), [](const FieldDescriptor* step) {
    return step->options().GetExtension(v1::required);
  });
  return input;
}

/// Flags of all methods that ask: a field of such a name is called by its place.
bool is_reserved(const std::string& name) {
  static const std::vector<std::string> kOthers{
      "all",        "confirm",         "cursor", "dry-run", "file",   "if-match", "limit",
      "no-headers", "idempotency-key", "watch",  "yes",     "origin", "version"};
  return find_flag(everywhere(), name) != nullptr || find_flag(asking(), name) != nullptr ||
         std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end();
}

class Collector {
 public:
  explicit Collector(const Method& method) : method_(method), variables_(variables_of(method.path)) {}

  std::vector<Input> collect() {
    add_all(*method_.descriptor->input_type(), {}, "");
    return std::move(inputs_);
  }

 private:
  void add_all(const Descriptor& type, const Path& at, const std::string& prefix) {
    for (int i = 0; i < type.field_count(); ++i) {
      Path path = at;
      path.push_back(type.field(i));
      add(path, prefix);
    }
  }

  void add(const Path& path, const std::string& prefix) {
    const FieldDescriptor& field = *path.back();
    const auto& options = field.options();
    if (options.GetExtension(v1::internal) || options.GetExtension(v1::output_only)) return;
    if (std::find(variables_.begin(), variables_.end(), dotted(path, as_is)) != variables_.end()) return;
    const bool top = path.size() == 1;
    if (top && (&field == method_.if_match || field.name() == "page_size" || field.name() == "page_token"))
      return;
    const auto* inner = field.message_type();
    const bool opens =
        inner != nullptr && !field.is_repeated() && !is_well_known(inner) && path.size() < kMaxDepth;
    if (opens && !is_money(inner)) {
      const bool bare = top && (field.name() == method_.body ||
                                (method_.body == "*" && options.GetExtension(v1::required)));
      add_all(*inner, path, bare ? "" : prefix + kebab(field.name()) + ".");
      return;
    }
    Input input = input_for(path, method_);
    const std::string ending = input.kind == Kind::secret ? "-file" : "";
    input.flag.name = free_name(prefix + kebab(field.name()) + ending, dotted(path, kebab) + ending);
    const std::string name = input.flag.name;
    const bool parts = input.kind == Kind::money && opens;
    inputs_.push_back(std::move(input));
    for (int i = 0; parts && i < inner->field_count(); ++i) {
      Path part = path;
      part.push_back(inner->field(i));
      Input one = input_for(part, method_);
      one.flag.name = name + "." + kebab(inner->field(i)->name());
      one.flag.hidden = true;
      inputs_.push_back(std::move(one));
    }
  }

  std::string free_name(const std::string& wanted, const std::string& full) const {
    for (const auto& name : {wanted, full})
      if (!is_reserved(name) && std::none_of(inputs_.begin(), inputs_.end(),
                                             [&](const Input& other) { return other.flag.name == name; }))
        return name;
    return "request." + full;
  }

  const Method& method_;
  std::vector<std::string> variables_;
  std::vector<Input> inputs_;
};

template <class Number>
bool reads_as(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

Outcome<void> check_range(const FieldDescriptor& field, const std::string& what, const std::string& text,
                          double n) {
  const auto& range = field.options().GetExtension(v1::range);
  if (!field.options().HasExtension(v1::range) ||
      (n >= static_cast<double>(range.min()) && n <= static_cast<double>(range.max())))
    return {};
  return usage(fmt::format("{} {} is out of range; it is {} to {}", what, text, range.min(), range.max()));
}

template <class Number>
Outcome<json::value> number_of(const FieldDescriptor& field, const std::string& what,
                               const std::string& text) {
  Number number{};
  if (!reads_as(text, number))
    return usage(fmt::format("{} {} is not a{} number{}", what, text,
                             std::is_integral_v<Number> ? " whole" : "",
                             std::is_unsigned_v<Number> ? " of 0 or more" : ""));
  if (const auto fits = check_range(field, what, text, static_cast<double>(number)); !fits)
    return fits.error();
  if constexpr (sizeof(Number) == 8 && std::is_integral_v<Number>) return json::value(text);
  return json::value(number);
}

/// "90s" for 1.5 minutes however they are written.
Outcome<json::value> span_of(const std::string& what, const std::string& text) {
  const auto span = parse_duration(text);
  if (!span) return usage(fmt::format("{} {} is not a span of time; write 500ms, 5s, 2m or 1h", what, text));
  const auto ms = span->count();
  return json::value(ms % 1000 == 0 ? fmt::format("{}s", ms / 1000)
                                    : fmt::format("{}.{:03}s", ms / 1000, ms % 1000));
}

Outcome<json::value> object_of(const Descriptor& type, const std::string& what, const std::string& text);

/// One value of the field as JSON has it.
Outcome<json::value> scalar_of(const FieldDescriptor& field, const std::string& what, const std::string& text,
                               bool ahead) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text == "true" || text == "false") return json::value(text == "true");
      return usage(fmt::format("{} cannot be {}; it is true or false", what, text));
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* value = find_value(*field.enum_type(), text);
      if (value != nullptr) return json::value(value->name());
      const auto names = short_names(*field.enum_type());
      return usage(fmt::format("{} cannot be {}{}; it is one of {}", what, text, did_you_mean(text, names),
                               join(names, ", ")));
    }
    case FieldDescriptor::CPPTYPE_INT32:
      return number_of<std::int32_t>(field, what, text);
    case FieldDescriptor::CPPTYPE_UINT32:
      return number_of<std::uint32_t>(field, what, text);
    case FieldDescriptor::CPPTYPE_INT64:
      return number_of<std::int64_t>(field, what, text);
    case FieldDescriptor::CPPTYPE_UINT64:
      return number_of<std::uint64_t>(field, what, text);
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return number_of<double>(field, what, text);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
    default:
      return json::value(text);
  }
  const auto& type = *field.message_type();
  if (type.full_name() == "google.protobuf.Timestamp") {
    const auto time = time_of(what, text, ahead ? Sense::from_now : Sense::ago);
    if (!time) return time.error();
    return json::value(*time);
  }
  if (type.full_name() == "google.protobuf.Duration") return span_of(what, text);
  if (type.full_name() == "google.protobuf.FieldMask") return json::value(text);
  return object_of(type, what, text);
}

/// A message: JSON, or the fields of one without messages as "provider=okta,subject=7".
Outcome<json::value> object_of(const Descriptor& type, const std::string& what, const std::string& text) {
  if (text.starts_with('{') || is_well_known(&type)) {
    auto document = parse_document(text, what);
    if (!document) return document.error();
    return std::move(*document);
  }
  json::object object;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    const auto equals = part.find('=');
    std::string name = part.substr(0, equals);
    for (char& c : name)
      if (c == '-') c = '_';
    const auto* field = type.FindFieldByName(name);
    if (equals == part.npos || field == nullptr || field->is_repeated() || is_money(field->message_type())) {
      std::vector<std::string> names;
      for (int i = 0; i < type.field_count(); ++i) names.push_back(kebab(type.field(i)->name()));
      return usage(fmt::format("{}: {} is none of {}; write JSON, or field=value,field=value", what, part,
                               join(names, ", ")));
    }
    auto value = scalar_of(*field, what, part.substr(equals + 1), true);
    if (!value) return value.error();
    object[name] = std::move(*value);
  }
  return json::value(std::move(object));
}

void set_member(json::object& object, const FieldDescriptor& field, json::value value) {
  if (field.json_name() != field.name()) object.erase(field.json_name());
  object[field.name()] = std::move(value);
}

/// The object that holds the last field of `path`; whatever else stood in its way is gone.
json::object& holder(json::object& document, const Path& path) {
  json::object* at = &document;
  for (const auto* step : Path(path.begin(), path.end() - 1)) {
    const auto* inner = member(*at, *step);
    if (inner == nullptr || !inner->is_object())
      set_member(*at, *step, json::object());
    else if (!at->contains(step->name()))
      set_member(*at, *step, json::value(*inner));
    at = &at->at(step->name()).as_object();
  }
  return *at;
}

Outcome<json::value> map_of(const Input& input, const std::string& what,
                            const std::vector<std::string>& values) {
  json::object object;
  const auto& field = *input.path.back()->message_type()->map_value();
  for (const auto& text : values) {
    const auto equals = text.find('=');
    if (equals == text.npos || equals == 0) return usage(fmt::format("{} {} is not KEY=VALUE", what, text));
    auto value = scalar_of(field, what, text.substr(equals + 1), input.ahead);
    if (!value) return value.error();
    object[text.substr(0, equals)] = std::move(*value);
  }
  return json::value(std::move(object));
}

bool is_missing(const json::value* value) {
  if (value == nullptr || value->is_null()) return true;
  if (const auto* text = value->if_string()) return text->empty() || *text == "0";
  if (const auto* list = value->if_array()) return list->empty();
  return value->is_int64() && value->as_int64() == 0;
}

Outcome<void> check_within(const Descriptor& type, const json::object& object, Path& path,
                           const std::vector<Input>& inputs) {
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    const auto* value = member(object, field);
    path.push_back(&field);
    if (field.options().GetExtension(v1::required) && !field.options().GetExtension(v1::output_only) &&
        is_missing(value)) {
      for (const auto& input : inputs)
        if (input.path == path)
          return usage(fmt::format("--{} is missing: {}", input.flag.name, meaning(input)));
      const bool flags = std::any_of(inputs.begin(), inputs.end(), [&](const Input& input) {
        return input.path.size() > path.size() && std::equal(path.begin(), path.end(), input.path.begin());
      });
      return usage(fmt::format("{} is missing; give it with {}-f FILE", dotted(path, as_is),
                               flags ? "flags, or with " : ""));
    }
    if (value != nullptr && value->is_object() && !field.is_repeated() && field.message_type() != nullptr &&
        !is_well_known(field.message_type()))
      if (const auto inner = check_within(*field.message_type(), value->as_object(), path, inputs); !inner)
        return inner;
    path.pop_back();
  }
  return {};
}

}  // namespace

std::vector<std::string> variables_of(std::string_view path) {
  std::vector<std::string> names;
  for (auto at = path.find('{'); at != path.npos; at = path.find('{', at + 1))
    names.emplace_back(path.substr(at + 1, path.find('}', at) - at - 1));
  return names;
}

std::string argument_name(std::string_view variable) {
  std::string name(variable.substr(variable.rfind('.') + 1));
  for (char& c : name) c = c == '_' ? '-' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

std::string meaning(const Input& input) {
  const FieldDescriptor& field = *input.path.back();
  std::string text = first_sentence(doc_of(field));
  if (text.empty()) text = kebab(field.name());
  for (char& c : text)
    if (c == '-' && doc_of(field).empty()) c = ' ';
  if (input.kind == Kind::money) text += "; as 1500.00USD";
  if (input.kind == Kind::secret) text += "; read from this file, - for stdin";
  if (!input.flag.choices.empty() && input.flag.choices.size() < 20)
    text += ": " + join(input.flag.choices, ", ");
  text += bounds(field);
  if (field.is_repeated()) text += "; may be repeated";
  return text;
}

std::vector<Input> inputs_of(const Method& method) {
  return Collector(method).collect();
}

const json::value* member(const json::object& object, const FieldDescriptor& field) {
  const auto* found = object.if_contains(field.name());
  return found != nullptr ? found : object.if_contains(field.json_name());
}

Outcome<std::pair<std::int64_t, std::string>> parse_money(const std::string& what, const std::string& text) {
  const auto refuse = [&] {
    return usage(
        fmt::format("{} {} is not an amount; write 1500.00USD, with at most six decimals", what, text));
  };
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  std::int64_t whole = 0;
  if (!reads_as(text.substr(0, digits), whole) || whole > 1'000'000'000'000) return refuse();
  auto at = digits;
  std::int64_t micros = 0;
  if (at < text.size() && text[at] == '.') {
    std::string decimals =
        text.substr(at + 1, std::min(text.find_first_not_of("0123456789", at + 1), text.size()) - at - 1);
    at += 1 + decimals.size();
    if (decimals.empty() || decimals.size() > 6) return refuse();
    decimals.resize(6, '0');
    reads_as(decimals, micros);
  }
  if (at < text.size() && text[at] == ' ') ++at;
  std::string currency = text.substr(at);
  if (currency.size() != 3 ||
      !std::all_of(currency.begin(), currency.end(), [](char c) { return c >= 'A' && c <= 'Z'; }))
    return refuse();
  return std::pair(whole * 1'000'000 + micros, std::move(currency));
}

Outcome<void> apply(const Input& input, const std::vector<std::string>& values, json::object& document) {
  const std::string what = "--" + input.flag.name;
  const FieldDescriptor& field = *input.path.back();
  auto& object = holder(document, input.path);
  json::value value;
  if (input.kind == Kind::map) {
    auto map = map_of(input, what, values);
    if (!map) return map.error();
    value = std::move(*map);
  } else if (input.kind == Kind::money) {
    const auto money = parse_money(what, values.back());
    if (!money) return money.error();
    value = json::object{{"micros", std::to_string(money->first)}, {"currency", money->second}};
  } else if (input.kind == Kind::secret) {
    const auto secret = read_secret_file(values.back());
    if (!secret) return secret.error();
    value = *secret;
  } else if (field.is_repeated()) {
    json::array list;
    for (const auto& text : values) {
      auto item = scalar_of(field, what, text, input.ahead);
      if (!item) return item.error();
      list.push_back(std::move(*item));
    }
    value = std::move(list);
  } else {
    auto one = scalar_of(field, what, values.back(), input.ahead);
    if (!one) return one.error();
    value = std::move(*one);
  }
  set_member(object, field, std::move(value));
  return {};
}

Outcome<void> check_required(const Method& method, const std::vector<Input>& inputs,
                             const json::object& document) {
  Path path;
  return check_within(*method.descriptor->input_type(), document, path, inputs);
}

}  // namespace cx::ctl
