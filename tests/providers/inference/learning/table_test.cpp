#include "providers/inference/learning/table.hpp"

#include <cstdio>
#include <doctest/doctest.h>
#include <filesystem>
#include <unistd.h>
#include <zlib.h>

namespace cx::inference::learning {
namespace {

std::string said(std::string_view text, const TableLimits& limits = {}) {
  const auto table = parse_table(text, "t.csv", limits);
  return table ? "" : table.error().detail;
}

bool starts(const std::string& text, const std::string& with) {
  CAPTURE(text);
  return text.starts_with(with);
}

/// The words of a row, "-" for a missing one.
std::vector<std::string> row(const Table& table, std::uint32_t i) {
  std::vector<std::string> out;
  for (const auto& column : table.columns)
    out.push_back(column.codes[i] == kMissing ? "-" : column.words[column.codes[i]]);
  return out;
}

std::string packed(std::string_view text) {
  const auto path = std::filesystem::temp_directory_path() / ("cx-table-" + std::to_string(getpid()) + ".gz");
  const auto file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  return path;
}

}  // namespace

TEST_CASE("a table is read with its quotes, line ends, byte order mark and missing values") {
  const auto table = parse_table(
      "\xEF\xBB\xBF"
      "a,\"b, c\",d\r\n1,\"x \"\"y\"\"\r\nz\",\r\n\r\n-2.5e1,,é",
      "t");
  REQUIRE(table);
  REQUIRE(table->rows == 2);
  CHECK(table->columns[1].name == "b, c");
  CHECK(row(*table, 0) == std::vector<std::string>{"1", "x \"y\"\r\nz", "-"});
  CHECK(row(*table, 1) == std::vector<std::string>{"-2.5e1", "-", "é"});
  CHECK(table->column("d") == &table->columns[2]);
  CHECK(table->column("e") == nullptr);
}

TEST_CASE("a column is one of numbers when every value that is there is one") {
  const auto table = parse_table("a,b,c,d,e\n1,1,,1e3,nan\n,2x,,-0.5,1\n3,3,,1e999,2\n", "t");
  REQUIRE(table);
  const auto is_number = [&](const char* name) { return table->column(name)->is_number(); };
  CHECK(is_number("a"));
  CHECK(table->column("a")->numbers == std::vector<double>{1, 3});
  CHECK_FALSE(is_number("b"));
  CHECK_FALSE(is_number("c"));  // nothing is known of it
  CHECK_FALSE(is_number("d"));  // beyond a double
  CHECK_FALSE(is_number("e"));
}

TEST_CASE("a column alone has missing values where lines are empty") {
  const auto table = parse_table("a\n1\n\n2\n", "t");
  REQUIRE(table);
  CHECK(table->rows == 3);
  CHECK(table->columns[0].codes[1] == kMissing);
}

TEST_CASE("a malformed table is refused with its line and column") {
  CHECK(starts(said("a,b\n1,2\n3\n"), "t.csv:3:2: the line has 1 values"));
  CHECK(starts(said("a,b\n1,2,3\n"), "t.csv:2:6: the line has 3 values"));
  CHECK(starts(said("a,b\n1,x\"y\"\n"), "t.csv:2:4: a quote inside"));
  CHECK(starts(said("a,b\n1,\"x\"y\n"), "t.csv:2:6: something follows"));
  CHECK(starts(said("a,b\n1,2\n3,\"4\n5,6\n"), "t.csv:3:3: the quote that opens here"));
  CHECK(starts(said("a,b\n\"1\n2\n3\",x\"\n"), "t.csv:4:5: a quote inside"));
  CHECK(starts(said("a,b\r1,2\n"), "t.csv:1:5: a carriage return"));
  CHECK(starts(said("a,b\n1,2\r"), "t.csv:2:4: a carriage return"));
  CHECK(starts(said("a,a\n1,2\n"), "t.csv:1:4: two columns"));
  CHECK(starts(said("a,\n1,2\n"), "t.csv:1:3: column 2 has no name"));
  CHECK(starts(said("a,b\n1,\xFF\n"), "t.csv:2:4: this is not UTF-8"));
  CHECK(starts(said(std::string("a,b\n1,\0\n", 8)), "t.csv:2:3: this is not UTF-8"));
  CHECK(starts(said("\xEF\xBB"
                    "a\n1\n"),
               "t.csv:1:3: this is not UTF-8"));
  CHECK(starts(said(""), "t.csv:1:0: the table is empty"));
  CHECK(starts(said("a,b\n"), "t.csv:2:0: the table has no rows"));
}

TEST_CASE("a table past a limit is refused") {
  CHECK(starts(said("a\n123\n", {.bytes = 5}), "t.csv:1:0: the table is longer than"));
  CHECK(starts(said("a\n1\n2\n", {.rows = 1}), "t.csv:3:2: more than 1 rows"));
  CHECK(starts(said("a,b,c\n1,2,3\n", {.columns = 2}), "t.csv:1:6: more than 2 columns"));
  CHECK(starts(said("a\n1234\n", {.field = 3}), "t.csv:2:4: a value is longer than 3 bytes"));
  CHECK(starts(said("a,b\n1,2\n3,4\n", {.cells = 3}), "t.csv:3:4: more than 1 rows of 2 columns"));
}

TEST_CASE("a packed file is read; one that was cut, or is not there, is refused by name") {
  std::string text = "a,b\n";
  for (int i = 0; i < 50'000; ++i) text += std::to_string(i * 7919 % 50'021) + ",x\n";
  const auto path = packed(text);
  const auto table = read_table(path);
  REQUIRE(table);
  CHECK(table->rows == 50'000);
  CHECK(table->columns[0].numbers[1] == 7919);

  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  const auto cut = read_table(path);
  REQUIRE_FALSE(cut);
  CHECK(cut.error().detail.find("ends in the middle") != std::string::npos);
  std::filesystem::remove(path);
  const auto gone = read_table(path);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().detail.find(path) != std::string::npos);
  CHECK_FALSE(read_table("/"));
}

}  // namespace cx::inference::learning
