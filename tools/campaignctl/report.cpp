#include "tools/campaignctl/report.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>
#include <utility>
#include <yaml-cpp/yaml.h>

#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

void write_json(std::string& out, const json::value& value, bool indented, std::size_t depth) {
  const auto newline = [&](std::size_t level) {
    if (indented) out.append("\n").append(2 * level, ' ');
  };
  if (value.is_double()) {
    out += fmt::format("{}", value.get_double());
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    out += '[';
    for (const auto& item : *array) {
      if (&item != array->begin()) out += ',';
      newline(depth + 1);
      write_json(out, item, indented, depth + 1);
    }
    newline(depth);
    out += ']';
  } else if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    out += '{';
    for (const auto& item : *object) {
      if (&item != object->begin()) out += ',';
      newline(depth + 1);
      out += json::serialize(json::string(item.key())) + (indented ? ": " : ":");
      write_json(out, item.value(), indented, depth + 1);
    }
    newline(depth);
    out += '}';
  } else {
    out += json::serialize(value);
  }
}

/// Whether a reader of YAML would take the plain word for something else than a string.
bool needs_quotes(std::string_view text) {
  static const std::vector<std::string> kWords{"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  if (text.empty()) return true;
  const char first = text.front();
  const bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/';
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return !letter || std::find(kWords.begin(), kWords.end(), lower) != kWords.end() || printable(text) != text;
}

void emit_text(YAML::Emitter& yaml, std::string_view text) {
  if (needs_quotes(text)) yaml << YAML::DoubleQuoted;
  yaml << std::string(text);
}

void emit(YAML::Emitter& yaml, const json::value& value) {
  if (const auto* object = value.if_object()) {
    if (object->empty()) yaml << YAML::Flow;
    yaml << YAML::BeginMap;
    for (const auto& item : *object) {
      yaml << YAML::Key;
      emit_text(yaml, item.key());
      yaml << YAML::Value;
      emit(yaml, item.value());
    }
    yaml << YAML::EndMap;
  } else if (const auto* array = value.if_array()) {
    if (array->empty()) yaml << YAML::Flow;
    yaml << YAML::BeginSeq;
    for (const auto& item : *array) emit(yaml, item);
    yaml << YAML::EndSeq;
  } else if (const auto* text = value.if_string()) {
    emit_text(yaml, *text);
  } else if (value.is_null()) {
    yaml << YAML::Null;
  } else if (const auto* truth = value.if_bool()) {
    yaml << *truth;
  } else {
    yaml << to_json(value, false);
  }
}

/// RFC 4180, with the line ends of this system and without what could steer a terminal.
std::string csv_field(const std::string& raw) {
  std::string text = printable(raw, "\t\n");
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string out = "\"";
  for (char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

bool numeric(const std::string& text) {
  double n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return text.empty() || (error == std::errc() && end == text.data() + text.size());
}

std::string csv(const Report& report, bool headers) {
  std::string out;
  const auto line = [&](auto&& cell) {
    const char* comma = "";
    for (const auto& column : report.columns) {
      if (column.people) continue;
      out += std::exchange(comma, ",");
      out += csv_field(cell(column));
    }
    out += '\n';
  };
  if (headers) line([](const Column& column) { return column.key; });
  for (const auto& row : report.rows)
    line([&](const Column& column) { return plain(value_of(row, column)); });
  return out;
}

std::string table(const Report& report, const View& view) {
  std::vector<Column> columns;
  for (const auto& column : report.columns)
    if (!column.machines && (!column.wide || view.format == Format::wide)) columns.push_back(column);
  std::vector<std::vector<std::string>> lines;
  std::vector<bool> right;
  right.reserve(columns.size());
  for (const auto& column : columns)
    right.push_back(std::all_of(report.rows.begin(), report.rows.end(),
                                [&](const Row& row) { return numeric(shown(row, column)); }));
  if (view.headers && !report.rows.empty()) {
    auto& heads = lines.emplace_back();
    for (const auto& column : columns)
      heads.push_back(paint(upper(column.head.empty() ? column.key : column.head), Color::bold, view.color));
  }
  for (const auto& row : report.rows) {
    auto& cells = lines.emplace_back();
    for (const auto& column : columns) cells.push_back(printable(shown(row, column)));
  }
  const bool headed = view.headers && !report.summary.empty();
  return (headed ? report.summary + "\n" : "") + join(align(lines, right), "\n");
}

std::string cut_lines(const std::string& text, std::size_t columns) {
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    const auto line = std::string_view(text).substr(begin, end - begin);
    out += (columns == 0 ? std::string(line) : cut(line, columns)) + '\n';
    begin = end + 1;
  }
  return out;
}

}  // namespace

const json::value& value_of(const Row& row, const Column& column) {
  static const json::value kNone;
  if (const auto* whole = row.values.if_contains(column.key)) return *whole;
  const json::object* at = &row.values;
  for (std::string_view path = column.key;;) {
    const auto dot = path.find('.');
    const auto* value = at->if_contains(path.substr(0, dot));
    if (value == nullptr || dot == path.npos) return value == nullptr ? kNone : *value;
    if (!value->is_object()) return kNone;
    at = &value->get_object();
    path.remove_prefix(dot + 1);
  }
}

std::string shown(const Row& row, const Column& column) {
  const auto& value = value_of(row, column);
  return column.show && !value.is_null() ? column.show(value) : plain(value);
}

const std::vector<std::string>& format_names() {
  static const std::vector<std::string> kNames{"table", "wide", "json", "jsonl", "yaml", "csv", "name"};
  return kNames;
}

std::optional<Format> parse_format(std::string_view name) {
  const auto found = std::find(format_names().begin(), format_names().end(), name);
  if (found == format_names().end()) return {};
  return static_cast<Format>(found - format_names().begin());
}

std::string to_json(const json::value& value, bool indented) {
  std::string out;
  write_json(out, value, indented, 0);
  return out;
}

std::string to_yaml(const json::value& value) {
  YAML::Emitter yaml;
  emit(yaml, value);
  return yaml.c_str();
}

std::string plain(const json::value& value) {
  if (value.is_null()) return "";
  if (const auto* text = value.if_string()) return std::string(*text);
  if (const auto* array = value.if_array()) {
    std::vector<std::string> items;
    for (const auto& item : *array) items.push_back(plain(item));
    return join(items, " ");
  }
  return to_json(value, false);
}

std::vector<std::string> align(const std::vector<std::vector<std::string>>& lines,
                               const std::vector<bool>& right) {
  std::vector<std::size_t> widths(right.size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  std::vector<std::string> out;
  for (const auto& line : lines) {
    auto& text = out.emplace_back();
    for (std::size_t i = 0; i < line.size(); ++i) {
      const std::string gap(widths[i] - width(line[i]), ' ');
      text.append(i == 0 ? "" : "  ").append(right[i] ? gap + line[i] : line[i] + gap);
    }
    text.erase(text.find_last_not_of(' ') + 1);
  }
  return out;
}

std::string render(const Report& report, const View& view) {
  switch (view.format) {
    case Format::table:
    case Format::wide:
      return cut_lines(report.draw ? report.draw(view) : table(report, view), view.columns);
    case Format::json:
      return report.document + "\n";
    case Format::jsonl: {
      std::string out;
      for (const auto& row : report.rows) out += to_json(row.values, false) + "\n";
      return out;
    }
    case Format::yaml:
      return to_yaml(json::parse(report.document)) + "\n";
    case Format::csv:
      return csv(report, view.headers);
    case Format::name: {
      std::string out;
      for (const auto& row : report.rows) out += printable(row.name) + "\n";
      return out;
    }
  }
  return {};
}

}  // namespace cx::ctl
