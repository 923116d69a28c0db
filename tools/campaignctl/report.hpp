#pragma once

#include <boost/json.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/campaignctl/failure.hpp"

namespace cx::ctl {

/// The values of -o. table and wide are for people, the others for programs.
enum class Format { table, wide, json, jsonl, yaml, csv, name };
const std::vector<std::string>& format_names();
std::optional<Format> parse_format(std::string_view name);
inline bool for_people(Format format) {
  return format == Format::table || format == Format::wide;
}

/// How a report is to look.
struct View {
  Format format = Format::table;
  bool headers = true;
  bool color = false;
  std::size_t columns = 0;  ///< of the terminal; 0 when there is none, and nothing is cut
};

struct Row {
  std::string name;            ///< what -o name prints; unique in a report
  boost::json::object values;  ///< by column key, raw units
};

struct Column {
  std::string key;        ///< of the row's values; "content.name" reaches into objects
  bool wide = false;      ///< left out of -o table
  std::string head = {};  ///< for people; the key where it is empty
  bool machines = false;  ///< in csv only
  bool people = false;    ///< not in csv
  /// The value as people read it; plain() where there is none.
  std::function<std::string(const boost::json::value&)> show = {};
};

/// The value of a column; null where the row has none.
const boost::json::value& value_of(const Row& row, const Column& column);
/// What people read in a column.
std::string shown(const Row& row, const Column& column);

/// What a command found out, in every shape that -o asks for.
struct Report {
  std::string document;  ///< -o json and yaml: one JSON document
  std::vector<Column> columns;
  std::vector<Row> rows;
  std::string summary = {};  ///< a line above the table
  /// Replaces the table, where a picture reads better.
  std::function<std::string(const View&)> draw = {};
  std::vector<std::string> notes = {};  ///< sentences for stderr
  Exit exit = Exit::done;               ///< or Exit::bad, when that is the answer
};

/// The report as text, ending in a newline unless it is empty.
std::string render(const Report& report, const View& view);

/// Lines of aligned cells, two spaces between them; a cell whose `right` is set is flush right.
std::vector<std::string> align(const std::vector<std::vector<std::string>>& lines,
                               const std::vector<bool>& right);

/// One JSON value as text: shortest numbers, indented or on one line.
std::string to_json(const boost::json::value& value, bool indented);
/// The same as YAML, without a newline at the end.
std::string to_yaml(const boost::json::value& value);
/// A string without quotes, an array of them with spaces, null as nothing, anything else as JSON.
std::string plain(const boost::json::value& value);

}  // namespace cx::ctl
