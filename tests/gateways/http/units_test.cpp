#include <doctest/doctest.h>

#include "cx/v1/operations.pb.h"
#include "gateways/http/response.hpp"
#include "gateways/http/transcode.hpp"
#include "gateways/problem.hpp"

namespace cx::http {
namespace {

struct Kept final : ReplySink {
  void deliver(RawReply reply) noexcept override { replies.push_back(std::move(reply)); }
  std::vector<RawReply> replies;
};

}  // namespace

TEST_CASE("a problem document says what an error says, and a pointer only where there is one") {
  CHECK(
      problem_json(400, {Code::invalid_argument, "bad", "Say \"please\"\n", "/imp/0"}) ==
      R"({"type":"/problems/bad","title":"Bad Request","status":400,"detail":"Say \"please\"\u000a","pointer":"/imp/0"})");
  CHECK(problem_json(503, {Code::overloaded, "overloaded", "", ""}).find("pointer") == std::string::npos);
  CHECK(http_status(Code::deadline_exceeded) == 504);
  CHECK(problem_json(http_status(Code::conflict), {Code::conflict, "", "", ""}).find("\"Conflict\"") !=
        std::string::npos);
}

TEST_CASE("a response cannot be split by what a header field holds") {
  auto reply = RawReply::empty();
  reply.metadata.emplace_back("x-openrtb-nbr", "1\r\nSet-Cookie: a");
  std::string out;
  ResponseHead head;
  head.date = "now";
  CHECK(append_response(out, reply, head) == 204);
  CHECK(out == "HTTP/1.1 204 No Content\r\nDate: now\r\nx-openrtb-nbr: 1  Set-Cookie: a\r\n\r\n");
}

TEST_CASE("targets are split in origin and absolute form") {
  CHECK(split_target("/a/b?x=1?").path == "/a/b");
  CHECK(split_target("/a/b?x=1?").query == "x=1?");
  CHECK(split_target("http://host:80/a?b").path == "/a");
  CHECK(split_target("http://host").path == "/");
  CHECK(split_target("*").path == "*");
}

TEST_CASE("a query becomes a JSON object") {
  CHECK(*query_to_json("") == "{}");
  CHECK(*query_to_json("a=1&b=x+y%22&&c") == R"({"a":"1","b":"x y\"","c":""})");
  for (const auto* broken : {"a=%", "a=%4", "a=%zz", "%-1=b"}) CHECK(!query_to_json(broken));
}

TEST_CASE("JSON becomes the request message, strictly") {
  std::string seen;
  const Services::Unary handler = [&](const Services::Message& m, const Services::Respond& respond) {
    seen = m.GetTypeName();
    respond({std::make_unique<v1::VersionReply>()});
  };
  const auto* method =
      v1::VersionReply::descriptor()->file()->FindServiceByName("Operations")->FindMethodByName("Version");
  const auto asked = [method](const Services::Unary& unary, bool takes_body) {
    return [answer = transcode(*method, unary, takes_body)](std::string_view query, const std::string& body) {
      const auto kept = std::make_shared<Kept>();
      answer(query, body, ReplyTo(kept));
      REQUIRE(kept->replies.size() == 1);
      return kept->replies.front();
    };
  };
  const auto with_body = asked(handler, true), with_query = asked(handler, false);
  CHECK(with_body("", "{}").body == R"({"version":"","commit":"","build":""})");
  CHECK(seen == "cx.v1.VersionRequest");
  CHECK(with_query("", "ignored").kind == RawReply::Kind::document);
  for (const auto& reply :
       {with_body("", "{\"x\":1}"), with_body("", "{"), with_body("", ""), with_query("x=1", "")}) {
    REQUIRE(reply.kind == RawReply::Kind::error);
    CHECK(reply.error.code == Code::invalid_argument);
    CHECK(reply.error.type == "invalid-request");
  }
  const Services::Unary broken = [](const auto&, const auto&) { throw std::runtime_error("broken"); };
  CHECK(asked(broken, true)("", "{}").error.type == "internal");
  const Services::Unary silent = [](const auto&, const auto&) {};
  CHECK(asked(silent, true)("", "{}").error.type == "no-answer");
  const Services::Unary hasty = [](const auto&, const Services::Respond& respond) {
    respond(Error{Code::not_found, "nothing", "", ""});
    throw std::runtime_error("too late");
  };
  CHECK(asked(hasty, true)("", "{}").error.type == "nothing");
}

}  // namespace cx::http
