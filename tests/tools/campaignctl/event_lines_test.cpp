#include "tools/campaignctl/commands/event_lines.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

using namespace cx::ctl;
namespace json = boost::json;

TEST_CASE("a line of a file becomes an event that can be sent again") {
  const auto read = [](const std::string& line, std::size_t number = 1) {
    const auto event = read_event_line(line, number);
    REQUIRE(event.has_value());
    return json::parse(*event).as_object();
  };
  const auto event = read(R"( {"userId":"u","event":"e"} )");
  CHECK(event.at("type") == "track");
  CHECK(event.at("userId") == "u");
  CHECK(event.at("messageId").as_string().starts_with("line-"));
  CHECK(read(R"({"userId":"u","event":"e"})", 7).at("messageId") ==
        read(R"({"userId":"u","event":"e"})", 7).at("messageId"));
  CHECK(read(R"({"userId":"u","event":"e"})", 7).at("messageId") !=
        read(R"({"userId":"u","event":"e"})", 8).at("messageId"));
  CHECK(read(R"({"userId":"u","event":"e"})", 7).at("messageId") !=
        read(R"({"userId":"v","event":"e"})", 7).at("messageId"));
  CHECK(read(R"({"messageId":"m","type":"page"})") == json::parse(R"({"messageId":"m","type":"page"})"));
  CHECK(!read(R"({"userId":"u"})").contains("type"));  // the node says that it is missing
  CHECK(read("{}").size() == 1);
  CHECK(read("{ }\r").size() == 1);
}

TEST_CASE("a line that is none is refused here") {
  for (const std::string blank : {"", " ", "\r", "\t "}) CHECK(read_event_line(blank, 1)->empty());
  for (const std::string bad : {"{", "[]", "17", "x", "{} {}", "null"})
    CHECK(read_event_line(bad, 1).error().type == "invalid-line");
  CHECK(read_event_line("{\"a\":\"" + std::string(32'768, 'x') + "\"}", 1).error().type == "invalid-line");
}
