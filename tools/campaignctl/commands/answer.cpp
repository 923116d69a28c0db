#include "tools/campaignctl/commands/answer.hpp"

#include <charconv>
#include <fmt/core.h>

#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

const json::value kNull;

}  // namespace

const json::value& at(const json::value& object, std::string_view key) {
  const auto* fields = object.if_object();
  return fields == nullptr ? kNull : at(*fields, key);
}

const json::value& at(const json::object& object, std::string_view key) {
  const auto* found = object.if_contains(key);
  return found == nullptr ? kNull : *found;
}

const json::array& list(const json::value& value) {
  static const json::array kNone;
  return value.is_array() ? value.get_array() : kNone;
}

double number(const json::value& value) {
  const std::string text = plain(value);
  double n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

Outcome<json::object> ask_object(const Call& call, const Request& request) {
  const auto response = call.ask(request);
  if (!response) return response.error();
  boost::system::error_code error;
  auto answer = json::parse(response->body, error);
  if (!error && answer.is_object()) return std::move(answer.get_object());
  return Failure{
      Exit::server_failed, "not-understood",
      fmt::format("the answer to {} is not a JSON object; is the server a campaignd?", request.path), ""};
}

std::string type_of(const json::value& any) {
  const std::string url = plain(at(any, "@type"));
  const std::string name = url.substr(url.rfind('/') + 1);
  return name == "cx.v1.TypedBytes" ? plain(at(any, "type")) : name;
}

std::string short_type_of(const json::value& any) {
  const std::string name = type_of(any);
  return name.substr(name.rfind('.') + 1);
}

std::string draw_details(const std::vector<std::pair<std::string, std::string>>& lines,
                         const std::string& label, const json::value& any, const View& view) {
  std::vector<std::vector<std::string>> cells;
  for (const auto& [name, text] : lines)
    cells.push_back({paint(name, Color::bold, view.color), printable(text)});
  cells.push_back({paint(label, Color::bold, view.color), printable(type_of(any))});
  std::string out = join(align(cells, {false, false}), "\n");
  json::object fields;
  if (const auto* all = any.if_object())
    for (const auto& field : *all)
      if (field.key() != "@type") fields.insert(field);
  if (fields.empty()) return out;
  const std::string yaml = to_yaml(fields);
  for (std::size_t begin = 0; begin < yaml.size();) {
    const auto end = std::min(yaml.find('\n', begin), yaml.size());
    out += "\n  " + printable(std::string_view(yaml).substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace cx::ctl
