// Every way in which a route can shape a request, on a service that only this test knows: nothing but its
// .proto makes the gateway serve it.
#include <doctest/doctest.h>

#include "fixture.hpp"
#include "gateways/http/encoding.hpp"

namespace cx::http {
namespace {

using test::http::Book;
using test::http::BookRequest;
using test::http::CreateBookRequest;
using test::http::LendBookRequest;
using test::http::ListBooksRequest;
using test::http::UpdateBookRequest;

Services::Reply book(const std::string& etag, const std::string& title = "t") {
  auto reply = std::make_shared<Book>();
  reply->set_etag(etag);
  reply->set_title(title);
  return {std::move(reply)};
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "variables of the path and parameters of the query become fields") {
  start();
  auto c = client();
  CHECK(c.ask(get("/v1/library/books/moby%20dick%2F1+1")).status == 200);
  CHECK(library.asked<BookRequest>().id() == "moby dick/1+1");

  const auto listed = c.ask(
      get("/v1/library/"
          "books?page_size=7&pageToken=a%26b&filter.author=Melville+H.&filter.since=2026-01-31T08:30:00Z&"
          "tags=sea&tags=whale&"));
  CHECK(listed.status == 200);
  const auto list = library.asked<ListBooksRequest>();
  CHECK(list.page_size() == 7);
  CHECK(list.page_token() == "a&b");
  CHECK(list.filter().author() == "Melville H.");
  CHECK(list.filter().since().seconds() == 1769848200);
  CHECK(list.tags_size() == 2);
  CHECK(list.tags(1) == "whale");
}

TEST_CASE_FIXTURE(Fixture, "what is no parameter is refused, with its name") {
  start();
  auto c = client();
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"?colour=red", "unknown-field", "colour"},
      {"?shelf=top", "unknown-field", "shelf"},  // internal
      {"?filter.autor=x", "unknown-field", "/filter/autor"},
      {"?page_size=many", "invalid-value", "/page_size"},
      {"?page_size=1&page_size=2", "duplicate-field", "/page_size"},
      {"?page_size=1001", "out-of-range", "/page_size"},
      {"?filter=x", "wrong-type", "/filter"},
      {"?tags=%zz", "malformed-escape", "%25"},
      {"?=x", "unknown-field", ""},
      {"?tags=%ff", "", "/tags"},
  };
  for (const auto& [query, type, named] : cases) {
    CAPTURE(std::string(query));
    const auto refused = c.ask(get(std::string("/v1/library/books") + query));
    if (*type != 0) is_problem(refused, 400, type);
    CHECK(refused.status == 400);
    CHECK(refused.body.find(named) != std::string::npos);
  }
  is_problem(c.ask(get("/v1/library/books/a?id=b")), 400, "unexpected-query");
  is_problem(c.ask(get("/v1/library/books/%")), 400, "malformed-escape");
  is_problem(c.ask(with_body("POST", "/v1/library/books/a:lend?to=b", "{\"to\":\"b\"}")), 400,
             "unexpected-query");
  is_problem(c.ask(with_body("POST", "/v1/library/books?book.title=x", "{}")), 400, "unexpected-query");
}

TEST_CASE_FIXTURE(Fixture, "a body is the whole request, one field of it, or must not be") {
  start();
  auto c = client();
  CHECK(c.ask(with_body("POST", "/v1/library/books/a:lend", "{\"to\":\"ana\"}")).status == 200);
  CHECK(library.asked<LendBookRequest>().id() == "a");
  CHECK(library.asked<LendBookRequest>().to() == "ana");
  CHECK(c.ask(with_body("POST", "/v1/library/books/a:lend", "{\"id\":\"a\",\"to\":\"ana\"}")).status == 200);
  is_problem(c.ask(with_body("POST", "/v1/library/books/a:lend", "{\"id\":\"b\",\"to\":\"ana\"}")), 400,
             "path-mismatch");
  is_problem(c.ask(with_body("POST", "/v1/library/books/a:lend", "")), 400, "required-field");

  for (const auto* body : {"", "{\"back\":true}", "{\"page\":7}", "{\"page\":\"7\"}"}) {
    CHECK(c.ask(with_body("POST", "/v1/library/books/a/pages/7:turn", body)).status == 200);
    CHECK(library.asked<test::http::TurnPageRequest>().page() == 7);
  }
  is_problem(c.ask(with_body("POST", "/v1/library/books/a/pages/7:turn", "{\"page\":8}")), 400,
             "path-mismatch");
  is_problem(c.ask(with_body("POST", "/v1/library/books/a/pages/x:turn", "")), 400, "invalid-value");

  CHECK(c.ask(with_body("POST", "/v1/library/books?draft=true", "{\"id\":\"a\",\"title\":\"x\"}")).status ==
        200);
  CHECK(library.asked<CreateBookRequest>().book().title() == "x");
  CHECK(library.asked<CreateBookRequest>().draft());
  const auto unknown = c.ask(with_body("POST", "/v1/library/books", "{\"titel\":\"x\"}"));
  is_problem(unknown, 400, "unknown-field");
  CHECK(unknown.body.find("\"pointer\":\"/titel\"") != std::string::npos);
  CHECK(unknown.body.find("title") != std::string::npos);

  is_problem(c.ask(with_body("DELETE", "/v1/library/books/a", "{}")), 400, "unexpected-body");
  CHECK(c.ask(with_body("DELETE", "/v1/library/books/a", "")).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "a PATCH is of the fields that its body mentions, or of those that it names") {
  start();
  auto c = client();
  REQUIRE(c.ask(with_body("PATCH", "/v1/library/books/a", "{\"title\":\"x\",\"pages\":0,\"etag\":\"e\"}"))
              .status == 200);
  auto asked = library.asked<UpdateBookRequest>();
  CHECK(asked.book().id() == "a");
  CHECK(asked.book().title() == "x");
  CHECK(asked.book().etag() == "");  // only replies have it
  CHECK(asked.update_mask().paths_size() == 2);
  CHECK(asked.update_mask().paths(0) == "title");
  CHECK(asked.update_mask().paths(1) == "pages");
  REQUIRE(
      c.ask(with_body("PATCH", "/v1/library/books/a?update_mask=tags,pages", "{\"title\":\"x\"}")).status ==
      200);
  asked = library.asked<UpdateBookRequest>();
  CHECK(asked.update_mask().paths_size() == 2);
  CHECK(asked.update_mask().paths(0) == "tags");
}

TEST_CASE_FIXTURE(Fixture, "an entity tag travels as ETag, If-Match and If-None-Match") {
  library.answer = [](const auto&) { return book("7"); };
  start();
  auto c = client();
  const auto first = c.ask(get("/v1/library/books/a"));
  CHECK(first.field("etag") == "\"7\"");
  CHECK(first.field("cache-control") == "no-store");
  const auto same = c.ask(get("/v1/library/books/a", "If-None-Match: \"6\", W/\"7\"\r\n"));
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  CHECK(same.field("etag") == "\"7\"");
  CHECK(same.field("content-length").empty());
  CHECK(c.ask(get("/v1/library/books/a", "If-None-Match: \"6\"\r\n")).status == 200);
  CHECK(c.ask(with_body("PATCH", "/v1/library/books/a", "{}", "If-None-Match: \"7\"\r\n")).status == 200);

  CHECK(c.ask(with_body("PATCH", "/v1/library/books/a", "{}", "If-Match: \"7\"\r\n")).status == 200);
  CHECK(library.asked<UpdateBookRequest>().if_match() == "7");
  CHECK(c.ask(with_body("DELETE", "/v1/library/books/a", "", "If-Match: *\r\n")).status == 200);
  CHECK(library.asked<BookRequest>().if_match() == "*");
  is_problem(c.ask(with_body("PATCH", "/v1/library/books/a", "{}", "If-Match: 7\r\n")), 400,
             "invalid-if-match");
  is_problem(c.ask(with_body("PATCH", "/v1/library/books/a", "{}", "If-Match: \"7\"\r\nIf-Match: \"8\"\r\n")),
             400, "invalid-if-match");
  is_problem(c.ask(with_body("POST", "/v1/library/books", "{}", "If-Match: \"7\"\r\n")), 400,
             "if-match-unsupported");
}

TEST_CASE_FIXTURE(Fixture, "an idempotency key reaches what can use it, and only that") {
  start();
  auto c = client();
  const auto lend = [&](const std::string& key) {
    return c.ask(
        with_body("POST", "/v1/library/books/a:lend", "{\"to\":\"b\"}", "Idempotency-Key: " + key + "\r\n"));
  };
  CHECK(lend("0191-key").status == 200);
  CHECK(library.called().idempotency_key == "0191-key");
  CHECK(lend(std::string(255, 'k')).status == 200);
  is_problem(lend(std::string(256, 'k')), 400, "invalid-idempotency-key");
  is_problem(lend("two words"), 400, "invalid-idempotency-key");
  is_problem(lend("\xc3\xa9"), 400, "invalid-idempotency-key");
  is_problem(c.ask(with_body("POST", "/v1/library/books", "{}", "Idempotency-Key: k\r\n")), 400,
             "idempotency-key-unsupported");
  is_problem(c.ask(bid("{}", "Idempotency-Key: k\r\n")), 400, "idempotency-key-unsupported");
}

TEST_CASE_FIXTURE(Fixture, "a document of its own type is passed through as it is") {
  library.answer = [](const auto&) -> Services::Reply {
    auto raw = std::make_shared<v1::RawBody>();
    raw->set_content_type("application/x-ndjson");
    raw->set_body("{\"a\":1}\n{\"a\":2}\n");
    return {std::move(raw)};
  };
  start();
  const auto exported = client().ask(get("/v1/library/books:export"));
  CHECK(exported.status == 200);
  CHECK(exported.field("content-type") == "application/x-ndjson");
  CHECK(exported.body == "{\"a\":1}\n{\"a\":2}\n");
}

TEST_CASE_FIXTURE(Fixture, "a request has an id, a trace and a deadline") {
  start();
  auto c = client();
  const auto own = c.ask(get("/v1/library/hours"));
  CHECK(own.field("x-request-id").size() == 36);
  CHECK(library.called().request_id == own.field("x-request-id"));
  CHECK(library.called().trace.size() == 32);
  CHECK(library.called().deadline == 0);
  const auto trace = library.called().trace;
  CHECK(c.ask(get("/v1/library/hours")).field("x-request-id") != own.field("x-request-id"));
  CHECK(library.called().trace != trace);

  CHECK(c.ask(get("/v1/library/hours", "x-request-ID: job_7.a-B\r\n")).field("x-request-id") == "job_7.a-B");
  CHECK(library.called().request_id == "job_7.a-B");
  for (const auto& bad :
       {std::string("a b"), std::string(129, 'a'), std::string("a/b"), std::string("\"x\"")})
    CHECK(c.ask(get("/v1/library/hours", "X-Request-Id: " + bad + "\r\n")).field("x-request-id").size() ==
          36);
  CHECK(c.ask(get("/v1/library/hours", "X-Request-Id: a\r\nX-Request-Id: b\r\n"))
            .field("x-request-id")
            .size() == 36);

  const std::string id = "0af7651916cd43dd8448eb211c80319c", parent = "-b7ad6b7169203331-01";
  c.ask(get("/v1/library/hours", "traceparent: 00-" + id + parent + "\r\n"));
  CHECK(library.called().trace == id);
  c.ask(get("/v1/library/hours",
            "traceparent: 00-" + id + parent + "\r\ntraceparent: 00-" + id + parent + "\r\n"));
  CHECK(library.called().trace != id);

  const auto before = system_environment().clock().unix_ms();
  c.ask(get("/v1/library/hours", "X-Timeout-Ms: 1500\r\n"));
  CHECK(library.called().deadline >= before + 1500);
  CHECK(library.called().deadline <= system_environment().clock().unix_ms() + 1500);
  is_problem(c.ask(get("/v1/library/hours", "X-Timeout-Ms: soon\r\n")), 400, "invalid-timeout");
}

TEST_CASE_FIXTURE(Fixture, "every problem names its request, also where there was none") {
  start();
  auto c = client();
  const auto lost = c.ask(get("/nothing", "X-Request-Id: r-1\r\n"));
  CHECK(lost.body.find("\"instance\":\"r-1\"") != std::string::npos);
  const auto broken = c.ask("hello\r\n\r\n");
  CHECK(broken.body.find("\"instance\":\"" + broken.field("x-request-id") + "\"") != std::string::npos);
  CHECK(broken.field("x-request-id").size() == 36);
}

TEST_CASE_FIXTURE(Fixture, "a handler that throws is a problem, not an end") {
  library.answer = [](const auto&) -> Services::Reply { throw std::runtime_error("broken"); };
  start();
  auto c = client();
  is_problem(c.ask(get("/v1/library/hours")), 500, "internal");
  CHECK(c.ask(get("/healthz")).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "verbs are told apart, and the others are refused with those there are") {
  start();
  auto c = client();
  const auto wrong = c.ask(with_body("PUT", "/v1/library/books/a", "{}"));
  is_problem(wrong, 405, "method-not-allowed");
  CHECK(wrong.field("allow") == "GET, HEAD, PATCH, DELETE, OPTIONS");
  is_problem(c.ask(with_body("POST", "/v1/library/books/a:return", "{}")), 404, "unknown-path");
  is_problem(c.ask(get("/v1/library/books/a:lend")), 405, "method-not-allowed");
  is_problem(c.ask(with_body("TRACE", "/v1/library/books/a", "")), 405, "method-not-allowed");
  const auto options = c.ask(with_body("OPTIONS", "/v1/library/books/a", ""));
  CHECK(options.status == 204);
  CHECK(options.field("allow") == "GET, HEAD, PATCH, DELETE, OPTIONS");
}

}  // namespace cx::http
