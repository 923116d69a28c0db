#include "tools/campaignctl/report.hpp"

#include <doctest/doctest.h>
#include <map>

#include "tools/campaignctl/watch.hpp"

using namespace cx::ctl;
namespace json = boost::json;

namespace {

Report sample() {
  Report report;
  report.columns = {{"imp"}, {"price"}, {"note", true}};
  report.rows = {{"bid/a", {{"imp", "1"}, {"price", 2.5}, {"note", "a,\"b\""}}},
                 {"bid/b", {{"imp", "x"}, {"price", 11}, {"note", nullptr}}}};
  report.document = R"({"price":2.50,"id":"12","empty":[],"none":null,"yes":true,"word":"no"})";
  return report;
}

std::string as(Format format, bool headers = true) {
  return render(sample(), {format, headers, false, 0});
}

}  // namespace

TEST_CASE("a table has upper-case heads, numbers to the right and no spaces at the ends of lines") {
  CHECK(as(Format::table) == "IMP  PRICE\n1      2.5\nx       11\n");
  CHECK(as(Format::table, false) == "1  2.5\nx   11\n");
  CHECK(as(Format::wide) == "IMP  PRICE  NOTE\n1      2.5  a,\"b\"\nx       11\n");
}

TEST_CASE("a summary goes with the heads of a table, and with nothing else") {
  Report report = sample();
  report.summary = "2 bids";
  CHECK(render(report, {}) == "2 bids\nIMP  PRICE\n1      2.5\nx       11\n");
  CHECK(render(report, {Format::table, false}) == as(Format::table, false));
  CHECK(render(report, {Format::csv}) == as(Format::csv));
}

TEST_CASE("a table is cut to the terminal and coloured only when asked") {
  CHECK(render(sample(), {Format::table, true, false, 6}) == "IMP  …\n1    …\nx    …\n");
  CHECK(render(sample(), {Format::table, true, true, 0}).find('\x1b') != std::string::npos);
}

TEST_CASE("cells cannot steer the terminal") {
  Report report;
  report.columns = {{"a"}};
  report.rows = {{"n\x1b", {{"a", "x\x1b[31m\n"}}}};
  CHECK(render(report, {}) == "A\nx\\x1b[31m\\x0a\n");
  CHECK(render(report, {Format::name}) == "n\\x1b\n");
  CHECK(render(report, {Format::csv, false}) == "\"x\\x1b[31m\n\"\n");
}

TEST_CASE("the document is printed as it came, and its types survive YAML") {
  CHECK(as(Format::json) == sample().document + "\n");
  CHECK(as(Format::yaml) == "price: 2.5\nid: \"12\"\nempty: []\nnone: ~\n\"yes\": true\nword: \"no\"\n");
}

TEST_CASE("rows") {
  CHECK(
      as(Format::jsonl) ==
      "{\"imp\":\"1\",\"price\":2.5,\"note\":\"a,\\\"b\\\"\"}\n{\"imp\":\"x\",\"price\":11,\"note\":null}\n");
  CHECK(as(Format::csv) == "imp,price,note\n1,2.5,\"a,\"\"b\"\"\"\nx,11,\n");
  CHECK(as(Format::csv, false) == "1,2.5,\"a,\"\"b\"\"\"\nx,11,\n");
  CHECK(as(Format::name) == "bid/a\nbid/b\n");
}

TEST_CASE("numbers are written short and parse back") {
  CHECK(to_json(json::value{{"a", 3.1}, {"b", {1, 2}}}, false) == "{\"a\":3.1,\"b\":[1,2]}");
  CHECK(to_json(json::value{{"a", json::object{}}}, true) == "{\n  \"a\": {}\n}");
  CHECK(to_json(json::value("\x1b\"\n"), false) == "\"\\u001b\\\"\\n\"");
}

TEST_CASE("a watch tells what became of each row") {
  std::map<std::string, json::object> known;
  CHECK(changes(known, {{"a", {{"n", 1}}}, {"b", {{"n", 1}}}}) ==
        "{\"type\":\"ADDED\",\"name\":\"a\",\"object\":{\"n\":1}}\n{\"type\":\"ADDED\",\"name\":\"b\","
        "\"object\":{\"n\":1}}\n");
  CHECK(changes(known, {{"a", {{"n", 1}}}, {"b", {{"n", 2}}}}) ==
        "{\"type\":\"CHANGED\",\"name\":\"b\",\"object\":{\"n\":2}}\n");
  CHECK(changes(known, {{"b", {{"n", 2}}}}) ==
        "{\"type\":\"DELETED\",\"name\":\"a\",\"object\":{\"n\":1}}\n");
  CHECK(changes(known, {{"b", {{"n", 2}}}}).empty());
}
