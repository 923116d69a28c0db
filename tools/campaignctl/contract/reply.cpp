#include "tools/campaignctl/contract/reply.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fmt/core.h>
#include <set>

#include "tools/campaignctl/commands/answer.hpp"
#include "tools/campaignctl/contract/inputs.hpp"
#include "tools/campaignctl/contract/names.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr std::size_t kShown = 8;  ///< columns of -o table

/// How much a column says, the least number first. What is not here comes after, and long texts last.
int rank_of(const FieldDescriptor& field, bool first_id) {
  static const std::vector<std::set<std::string>> kRanks{
      {"name", "display_name"},
      {"stage", "status", "state", "outcome", "disabled", "built_in"},
      {"from", "to", "action", "method", "resource"},
      {"actor", "owner", "roles", "role", "min_approvals"},
      {"channels", "budget"},
      {"start", "end", "at"},
      {"expires_at", "updated_at", "created_at", "revision"}};
  constexpr int kNever = 100;
  const std::string& name = field.name();
  if (first_id) return 0;
  for (std::size_t i = 0; i < kRanks.size(); ++i)
    if (kRanks[i].contains(name)) return static_cast<int>(i) + 1;
  static const std::set<std::string> kLong{"description", "etag",   "details", "trace",     "comment",
                                           "hash",        "secret", "text",    "request_id"};
  const bool digest = name.ends_with("hash") || name.ends_with("_sha256") || name.ends_with("token");
  return kLong.contains(name) || digest || field.is_map() ? kNever : 50;
}

bool is_id(const FieldDescriptor& field) {
  return field.name() == "id" || field.name() == "key_id" || field.name() == "sequence" ||
         field.name() == "number" || field.name().ends_with("_id");
}

std::string show_time(const json::value& value) {
  std::string text = plain(value);
  const auto dot = text.find('.');
  if (text.size() > 20 && dot == 19 && text.ends_with('Z')) text = text.substr(0, dot) + 'Z';
  return text;
}

std::string show_enum(const google::protobuf::EnumDescriptor& type, const json::value& value) {
  if (const auto* array = value.if_array()) {
    std::vector<std::string> names;
    for (const auto& item : *array) names.push_back(show_enum(type, item));
    return join(names, " ");
  }
  const auto text = plain(value);
  const auto* known = type.FindValueByName(text);
  if (known == nullptr) return text;  // of a newer server
  const auto name = short_name(*known);
  return name == "unspecified" ? "" : name;
}

std::string show_money(const json::value& value) {
  const std::string micros = plain(at(value, "micros")), currency = plain(at(value, "currency"));
  std::int64_t n = 0;
  std::from_chars(micros.data(), micros.data() + micros.size(), n);
  if (currency.empty() && n == 0) return "";
  const auto rest = std::abs(n % 1'000'000);
  std::string text = fmt::format("{}{}", n < 0 ? "-" : "", std::abs(n / 1'000'000));
  if (rest != 0) {
    std::string decimals = fmt::format("{:06}", rest);
    decimals.erase(std::max<std::size_t>(decimals.find_last_not_of('0') + 1, 2));
    text += "." + decimals;
  }
  return text + " " + currency;
}

std::string show_map(const json::value& value) {
  std::vector<std::string> words;
  if (const auto* object = value.if_object())
    for (const auto& item : *object) words.push_back(std::string(item.key()) + "=" + plain(item.value()));
  return join(words, " ");
}

struct Leaf {
  Column column;
  int rank = 0;
  int depth = 0;
};

class Flattener {
 public:
  std::vector<Leaf> leaves;

  void add_all(const Descriptor& type, const std::string& prefix, int depth) {
    const FieldDescriptor* id = nullptr;
    for (int i = 0; i < type.field_count() && id == nullptr; ++i)
      if (is_id(*type.field(i))) id = type.field(i);
    for (int i = 0; i < type.field_count(); ++i) {
      const auto& field = *type.field(i);
      if (!field.options().GetExtension(v1::internal)) add(field, prefix, depth, depth == 0 && &field == id);
    }
  }

 private:
  void add(const FieldDescriptor& field, const std::string& prefix, int depth, bool first_id) {
    const auto* type = field.message_type();
    const std::string key = prefix + field.name();
    const bool nested = type != nullptr && !is_well_known(type) && !field.is_map();
    if (nested && !field.is_repeated() && !is_money(type) && depth < 2) {
      add_all(*type, key + ".", depth + 1);
      return;
    }
    Leaf leaf{{key}, rank_of(field, first_id), depth};
    leaf.column.head = field.name();
    // Of two of a name, the outer one says it.
    for (auto& other : leaves) {
      if (other.column.head != field.name()) continue;
      auto& inner = other.depth > depth ? other : leaf;
      inner.column.head = inner.column.key;
      inner.rank = 100;
    }
    if (field.enum_type() != nullptr)
      leaf.column.show = [enumeration = field.enum_type()](const json::value& value) {
        return show_enum(*enumeration, value);
      };
    else if (field.is_map())
      leaf.column.show = show_map;
    else if (nested && is_money(type) && !field.is_repeated())
      leaf.column.show = show_money;
    else if (nested)
      leaf.column.machines = true;  // JSON in a cell
    else if (type != nullptr && type->full_name() == "google.protobuf.Timestamp")
      leaf.column.show = show_time;
    if (nested && is_money(type) && !field.is_repeated()) {
      leaf.column.people = true;
      for (const char* part : {"micros", "currency"})
        leaves.push_back({{key + "." + part, true, "", true}, 100, depth});
    }
    leaves.push_back(std::move(leaf));
  }
};

/// One resource, a line for each field that says something, and lists of messages below as YAML.
std::string draw_resource(const std::vector<Column>& columns, const Row& row, const View& view) {
  std::vector<std::vector<std::string>> lines;
  std::string below;
  for (const auto& column : columns) {
    if (column.machines) {
      const auto& value = value_of(row, column);
      if (!value.is_array() || value.get_array().empty()) continue;
      below += paint(column.head.empty() ? column.key : column.head, Color::bold, view.color) + "\n";
      const auto yaml = to_yaml(value);
      for (std::size_t begin = 0; begin < yaml.size();) {
        const auto end = std::min(yaml.find('\n', begin), yaml.size());
        below += "  " + printable(std::string_view(yaml).substr(begin, end - begin)) + "\n";
        begin = end + 1;
      }
      continue;
    }
    const auto text = shown(row, column);
    if (text.empty() || (text == "0" && column.wide)) continue;
    std::string label = column.head;
    std::replace(label.begin(), label.end(), '_', ' ');
    lines.push_back({paint(label, Color::bold, view.color), printable(text)});
  }
  const auto top = join(align(lines, {false, false}), "\n");
  return top + (top.empty() || below.empty() ? "" : "\n") + below;
}

/// What is said of a method that answers with nothing: what it was done to.
Report report_on_nothing(const Call& call) {
  Report report;
  json::object values;
  for (const auto& argument : call.command().arguments) {
    std::string key = argument.name;
    for (char& c : key) c = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    values[key] = call.value(argument.name);
    report.columns.push_back({key});
  }
  values["outcome"] = "done";
  report.columns.push_back({"outcome"});
  const auto& arguments = call.command().arguments;
  report.rows = {{arguments.empty() ? "done" : call.value(arguments.back().name), std::move(values)}};
  return report;
}

}  // namespace

const FieldDescriptor* list_field(const Descriptor& reply) {
  if (reply.FindFieldByName("next_page_token") == nullptr) return nullptr;
  for (int i = 0; i < reply.field_count(); ++i)
    if (reply.field(i)->is_repeated() && reply.field(i)->message_type() != nullptr &&
        !reply.field(i)->is_map())
      return reply.field(i);
  return nullptr;
}

std::vector<Column> columns_of(const Descriptor& type) {
  Flattener flattener;
  flattener.add_all(type, "", 0);
  auto& leaves = flattener.leaves;
  std::stable_sort(leaves.begin(), leaves.end(),
                   [](const Leaf& a, const Leaf& b) { return a.rank < b.rank; });
  std::vector<Column> columns;
  std::size_t shown = 0;
  for (auto& leaf : leaves) {
    if (!leaf.column.machines) leaf.column.wide = leaf.rank >= 100 || ++shown > kShown;
    columns.push_back(std::move(leaf.column));
  }
  return columns;
}

std::string name_of(const Descriptor& type, const json::object& resource) {
  const FieldDescriptor* best = nullptr;
  for (int i = 0; i < type.field_count(); ++i) {
    const auto* field = type.field(i);
    const bool named = field->name() == "name";
    if (best == nullptr ? is_id(*field) || named : is_id(*field) && best->name() == "name") best = field;
  }
  if (best != nullptr) return plain(at(resource, best->name()));
  // A wrapper is called by what it wraps: {"api_key": {...}, "secret": ...}.
  for (int i = 0; i < type.field_count(); ++i)
    if (const auto* inner = type.field(i)->message_type(); inner != nullptr && !type.field(i)->is_repeated())
      if (const auto* object = at(resource, type.field(i)->name()).if_object())
        if (auto name = name_of(*inner, *object); !name.empty()) return name;
  return "";
}

Report report_on_list(const Descriptor& type, const json::array& items) {
  Report report;
  report.columns = columns_of(type);
  std::size_t number = 0;
  for (const auto& item : items) {
    ++number;
    if (!item.is_object()) continue;
    auto name = name_of(type, item.get_object());
    report.rows.push_back({name.empty() ? std::to_string(number) : std::move(name), item.get_object()});
  }
  return report;
}

Report report_on(const Method& method, const Call& call, const json::object& reply) {
  const auto& type = *method.descriptor->output_type();
  if (const auto* items = list_field(type)) {
    auto report = report_on_list(*items->message_type(), list(at(reply, items->name())));
    if (report.rows.empty()) report.notes.push_back("nothing to list");
    if (const auto next = plain(at(reply, "next_page_token")); !next.empty())
      report.notes.push_back("more: " + command_line(call, {{"cursor", next}}));
    return report;
  }
  if (type.field_count() == 0) return report_on_nothing(call);
  Report report;
  report.columns = columns_of(type);
  auto name = name_of(type, reply);
  if (name.empty()) name = call.command().path.substr(call.command().path.find(' ') + 1);
  report.rows = {{std::move(name), reply}};
  report.draw = [columns = report.columns, row = report.rows.front()](const View& view) {
    return draw_resource(columns, row, view);
  };
  return report;
}

}  // namespace cx::ctl
