// Who is let in, and what browsers are told.
#include <doctest/doctest.h>

#include "fixture.hpp"

namespace cx::http {
namespace {

const std::string kGood = "Authorization: Bearer good\r\n";
const std::string kPoor = "Authorization: Bearer poor\r\n";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "every method but the public ones needs a credential, then its permission") {
  door.authenticator.open = false;
  start();
  auto c = client();
  for (const auto& method : contract) {
    if (method.path.empty()) continue;
    CAPTURE(method.name);
    auto path = method.path;
    for (auto at = path.find('{'); at != path.npos; at = path.find('{'))
      path.replace(at, path.find('}') - at + 1, "x");
    const auto ask = [&](const std::string& fields) {
      return c.ask(with_body(method.verb, path, "", fields));
    };
    const bool open = method.access == Method::Access::everybody;
    const auto nobody = ask("");
    CHECK((nobody.status == 401) != open);
    const auto stranger = ask("Authorization: Bearer wrong\r\n");
    CHECK((stranger.status == 401) != open);
    if (open) continue;
    is_problem(nobody, 401, "no-credential");
    CHECK(nobody.field("www-authenticate") == "Bearer realm=\"campaign-express\"");
    is_problem(stranger, 401, "invalid-credential");
    CHECK(stranger.field("www-authenticate") == "Bearer realm=\"campaign-express\", error=\"invalid_token\"");
    if (method.access == Method::Access::permitted) is_problem(ask(kPoor), 403, "permission-missing");
  }
  CHECK(library.request->GetTypeName() == "cx.test.http.Nothing");  // what is public
  CHECK(agents.waiting() == 0);
}

TEST_CASE_FIXTURE(Fixture, "where the contract allows it a page shows its key in the body, as text") {
  door.authenticator.open = false;
  services.add("event-track", &agents);
  agents.at_once = [](const RawRequest& request) { request.reply(RawReply::document(request.body)); };
  start();
  auto c = client();
  const std::string page = "Origin: https://shop.example\r\nContent-Type: text/plain;charset=UTF-8\r\n";
  const auto send = [&](const std::string& body, const std::string& fields = "") {
    return c.ask("POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
                 "\r\n" + fields + "\r\n" + body);
  };
  const std::string good = R"({"a":{"writeKey":"no"},"writeKey":"good","x":[1}})";
  for (const auto* body :
       {R"({"writeKey":"good"})", R"( {"a":{"writeKey":"no"},"wr\u0069teKey":"good","b":1})"}) {
    const auto answer = send(body, page);
    CHECK(answer.status == 200);
    CHECK(answer.body == body);
    CHECK(answer.field("access-control-allow-origin") == "*");
  }
  CHECK(send(good, page).status == 200);  // what is wrong behind the key is not the gateway's business
  CHECK(send("{}", page + kGood).status == 200);
  is_problem(send(R"({"writeKey":"good"})", "Authorization: Bearer wrong\r\n"), 401, "invalid-credential");
  is_problem(send(R"({"writeKey":"bad"})", page), 401, "invalid-credential");
  const auto refused = send("{}", page);
  is_problem(refused, 401, "no-credential");
  CHECK(refused.field("access-control-allow-origin") == "*");
  for (const auto* none :
       {"", "x", "[]", "{", R"({"writeKey":7})", R"({"writeKey":["good"]})", R"({"writeKey":null})",
        R"({"a":{"writeKey":"good"}})", R"(["writeKey","good"])", R"("writeKey")"})
    is_problem(send(none, page), 401, "no-credential");
  CHECK(send("{}", page + kPoor).status == 403);
  is_problem(send("{}", "Content-Type: text/html\r\n" + kGood), 415, "unsupported-media-type");

  // Nowhere else.
  is_problem(c.ask(bid(R"({"writeKey":"good"})")), 401, "no-credential");
  is_problem(c.ask(with_body("POST", "/v1/library/books", R"({"writeKey":"good"})")), 401, "no-credential");
  const std::string origin = "Origin: https://shop.example\r\n";
  CHECK(c.ask(get("/v1/library/books/a", kGood + origin)).field("access-control-allow-origin").empty());
  is_problem(c.ask(with_body("POST", "/v1/bid", "{}", "Content-Type: text/plain\r\n" + kGood)), 415,
             "unsupported-media-type");
}

TEST_CASE_FIXTURE(Fixture, "a source sends events and does nothing else") {
  services.add("event-track", &agents);
  agents.at_once = [](const RawRequest& request) { request.reply(RawReply::document(request.body)); };
  start();
  auto c = client();
  const std::string source = "Authorization: Bearer source\r\n";
  CHECK(c.ask(with_body("POST", "/v1/track", "{}", source)).status == 200);
  is_problem(c.ask(bid("{}", source)), 403, "events-only");
  is_problem(c.ask(get("/v1/library/books/a", source)), 403, "events-only");
}

TEST_CASE_FIXTURE(Fixture, "an agent may find a body too large") {
  services.add("event-track", &agents);
  agents.at_once = [](const RawRequest& request) {
    request.reply(RawReply::failure({Code::invalid_argument, "body-too-large", "Send less.", ""}));
  };
  start();
  is_problem(client().ask(with_body("POST", "/v1/track", "{}", kGood)), 413, "body-too-large");
}

TEST_CASE_FIXTURE(Fixture, "a refusal comes before the body is looked at") {
  door.authenticator.open = false;
  start();
  auto c = client();
  is_problem(c.ask(with_body("POST", "/v1/library/books", "not JSON")), 401, "no-credential");
  is_problem(c.ask(with_body("POST", "/v1/library/books", "x", "Content-Encoding: zip\r\n" + kPoor)), 403,
             "permission-missing");
  is_problem(c.ask(with_body("POST", "/v1/library/books", "x", "Content-Encoding: zip\r\n" + kGood)), 415,
             "unsupported-content-encoding");
  CHECK(c.ask(get("/healthz")).status == 200);  // what is the gateway's own is public
}

TEST_CASE_FIXTURE(Fixture, "the caller is known to what serves the request, an agent included") {
  start();
  auto c = client();
  c.ask(get("/v1/library/books/a", kGood));
  CHECK(library.called().caller->actor == "user/test");
  CHECK(library.called().caller->tenant == "demo");
  c.ask(get("/v1/library/hours"));
  CHECK(library.called().caller->tenant.empty());
  REQUIRE(c.send(bid("{}", kGood)));
  auto request = agents.take();
  CHECK(request.caller->actor == "user/test");
}

TEST_CASE_FIXTURE(Fixture, "a limited credential is told its quota, and when to come back") {
  door.authenticator.quota = {.limit = 100, .window_seconds = 60, .remaining = 50, .reset_seconds = 30};
  door.authenticator.tokens = 2;
  start();
  auto c = client();
  const auto served = c.ask(get("/v1/library/books/a"));
  CHECK(served.status == 200);
  CHECK(served.field("ratelimit-policy") == "\"default\";q=100;w=60");
  CHECK(served.field("ratelimit") == "\"default\";r=50;t=30");
  CHECK(served.field("retry-after").empty());
  is_problem(c.ask(get("/v1/library/books/a?x=1")), 400, "unknown-field");
  door.authenticator.quota.retry_seconds = 7;
  const auto limited = c.ask(get("/v1/library/books/a"));
  is_problem(limited, 429, "rate-limited");
  CHECK(limited.field("retry-after") == "7");
  CHECK(limited.field("ratelimit").find("\"default\";r=50") == 0);
  CHECK(c.ask(get("/v1/library/hours")).field("ratelimit").empty());  // nobody's
}

TEST_CASE_FIXTURE(Fixture, "answers say how they are to be handled") {
  start();
  auto c = client();
  const auto json = c.ask(get("/v1/library/books/a"));
  CHECK(json.field("cache-control") == "no-store");
  CHECK(json.field("x-content-type-options") == "nosniff");
  CHECK(json.field("access-control-allow-origin").empty());
  CHECK(json.field("vary").empty());
  CHECK(c.ask(get("/v1/library/hours")).field("cache-control") == "no-store");
  CHECK(c.ask(get("/healthz")).field("x-content-type-options") == "nosniff");
  CHECK(c.ask(get("/nothing")).field("x-content-type-options") == "nosniff");
}

TEST_CASE_FIXTURE(Fixture, "pages of the configured origins may use the API, others may not") {
  config.add_cors_origins("https://console.example.com");
  config.add_cors_origins("http://localhost:3000");
  door.authenticator.open = false;
  start();
  auto c = client();
  const std::string ours = "Origin: http://localhost:3000\r\n", theirs = "Origin: https://evil.example\r\n";
  const auto preflight = c.ask(with_body("OPTIONS", "/v1/library/books/a", "",
                                         ours + "Access-Control-Request-Method: PATCH\r\n"
                                                "Access-Control-Request-Headers: authorization\r\n"));
  CHECK(preflight.status == 204);
  CHECK(preflight.field("access-control-allow-origin") == "http://localhost:3000");
  CHECK(preflight.field("access-control-allow-methods") == "GET, HEAD, PATCH, DELETE, OPTIONS");
  CHECK(preflight.field("access-control-allow-headers").find("Authorization, ") == 0);
  CHECK(preflight.field("access-control-max-age") == "7200");
  CHECK(preflight.field("access-control-allow-credentials").empty());
  CHECK(preflight.field("vary") == "Origin");

  const auto actual = c.ask(get("/v1/library/books/a", ours + kGood));
  CHECK(actual.status == 200);
  CHECK(actual.field("access-control-allow-origin") == "http://localhost:3000");
  CHECK(actual.field("access-control-expose-headers").find("ETag, ") == 0);
  CHECK(actual.field("vary") == "Origin");
  const auto refused = c.ask(get("/v1/library/books/a", ours));  // a page may read why
  CHECK(refused.status == 401);
  CHECK(refused.field("access-control-allow-origin") == "http://localhost:3000");

  for (const auto& fields : {theirs, std::string(), std::string("Origin: null\r\n"),
                             std::string("Origin: http://localhost:30000\r\n"), ours + theirs}) {
    const auto foreign = c.ask(get("/v1/library/books/a", fields + kGood));
    CHECK(foreign.status == 200);
    CHECK(foreign.field("access-control-allow-origin").empty());
    CHECK(foreign.field("vary") == "Origin");
  }
  const auto denied = c.ask(
      with_body("OPTIONS", "/v1/library/books/a", "", theirs + "Access-Control-Request-Method: PATCH\r\n"));
  CHECK(denied.status == 204);
  CHECK(denied.field("access-control-allow-methods").empty());
  CHECK(denied.field("access-control-allow-origin").empty());
}

TEST_CASE_FIXTURE(Fixture,
                  "everybody's pages may, where that is configured, but never with a browser's credentials") {
  config.add_cors_origins("*");
  start();
  const auto answer = client().ask(get("/v1/library/books/a", "Origin: https://anywhere.example\r\n"));
  CHECK(answer.field("access-control-allow-origin") == "*");
  CHECK(answer.field("access-control-allow-credentials").empty());
}

}  // namespace cx::http
