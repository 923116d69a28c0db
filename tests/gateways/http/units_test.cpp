#include <doctest/doctest.h>

#include "fixture.hpp"
#include "gateways/http/fields.hpp"
#include "gateways/http/response.hpp"
#include "gateways/http/router.hpp"
#include "gateways/metadata.hpp"
#include "gateways/problem.hpp"

namespace cx::http {

TEST_CASE("a problem document says what an error says, and a pointer only where there is one") {
  CHECK(
      problem_json(400, {Code::invalid_argument, "bad", "Say \"please\"\n", "/imp/0"}, "r-1") ==
      R"({"type":"/problems/bad","title":"Bad Request","status":400,"detail":"Say \"please\"\u000a","pointer":"/imp/0","instance":"r-1"})");
  const auto brief = problem_json(503, {Code::overloaded, "overloaded", "", ""});
  CHECK(brief.find("pointer") == std::string::npos);
  CHECK(brief.find("instance") == std::string::npos);
  CHECK(http_status(Code::deadline_exceeded) == 504);
  CHECK(problem_json(http_status(Code::conflict), {Code::conflict, "", "", ""}).find("\"Conflict\"") !=
        std::string::npos);
}

TEST_CASE("a response cannot be split by what a header field holds") {
  alignas(std::max_align_t) char nowhere[1];  // a response asks nothing of its connection
  Exchange exchange(reinterpret_cast<Connection&>(nowhere));
  exchange.answer(RawReply::empty());
  exchange.reply.metadata.emplace_back("x-openrtb-nbr", "1\r\nSet-Cookie: a");
  std::string out;
  CHECK(append_response(out, exchange, {.date = "now"}) == 204);
  CHECK(out ==
        "HTTP/1.1 204 No Content\r\nDate: now\r\nx-openrtb-nbr: 1  Set-Cookie: a\r\n"
        "X-Content-Type-Options: nosniff\r\n\r\n");
}

TEST_CASE("targets are split in origin and absolute form") {
  CHECK(split_target("/a/b?x=1?").path == "/a/b");
  CHECK(split_target("/a/b?x=1?").query == "x=1?");
  CHECK(split_target("http://host:80/a?b").path == "/a");
  CHECK(split_target("https://host/a?b").query == "b");
  CHECK(split_target("http://host").path == "/");
  CHECK(split_target("*").path == "*");
}

TEST_CASE("percent signs stand for bytes, a plus for a space in the query only") {
  std::string out;
  REQUIRE(percent_decode("a%20b+c%2F%c3%A9", false, out));
  CHECK(out == "a b+c/\xc3\xa9");
  REQUIRE(percent_decode("a+b%2B", true, out));
  CHECK(out == "a b+");
  for (const auto* broken : {"%", "a%4", "%zz", "%-1", "%+1", "% 1", "%0x"})
    CHECK_FALSE(percent_decode(broken, true, out));
}

TEST_CASE("entity tags are compared weakly where a client asks for news") {
  const std::tuple<const char*, const char*, bool> cases[] = {
      {"", "\"a\"", false},
      {"\"a\"", "", false},
      {"\"a\"", "\"a\"", true},
      {"W/\"a\"", "\"a\"", true},
      {"\"b\", \"a\"", "\"a\"", true},
      {"*", "\"a\"", true},
      {"a", "\"a\"", false},
      {"\"a", "\"a\"", false},
      {"\"x,\"a\",y\"", "\"a\"", false},
      {"\"x,y\"", "\"x,y\"", true},
      {",, \"a\" ,", "\"a\"", true},
      {"\"A\"", "\"a\"", false},
  };
  for (const auto& [field, etag, expected] : cases) {
    CAPTURE(std::string(field));
    CHECK(names_etag(field, etag) == expected);
  }
}

TEST_CASE("If-Match is one strong entity tag, or anything") {
  CHECK(*if_match_of("\"a b\"") == "a b");
  CHECK(*if_match_of("*") == "*");
  for (const auto* wrong : {"a", "\"", "\"\"", "W/\"a\"", "\"a\", \"b\"", "\"a", "**", "'a'"}) {
    CAPTURE(std::string(wrong));
    CHECK(if_match_of(wrong).error().type == "invalid-if-match");
  }
}

TEST_CASE("a timeout is a whole number of milliseconds within an hour") {
  CHECK(*timeout_of("1") == 1);
  CHECK(*timeout_of("3600000") == 3600000);
  for (const auto* wrong : {"0", "-1", "+1", "3600001", "99999999999", "1s", "1.5", " 1", "x"})
    CHECK(timeout_of(wrong).error().type == "invalid-timeout");
}

}  // namespace cx::http
