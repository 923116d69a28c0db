#include <doctest/doctest.h>
#include <thread>

#include "fixture.hpp"

namespace cx::http {
namespace {

RawReply echo(const RawRequest& request) {
  return RawReply::document(request.body);
}

void answer_at_once(Fixture& f) {
  f.agents.at_once = [](RawRequest request) { request.reply(echo(request)); };
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the gateway's own endpoints answer") {
  start();
  auto c = client();
  CHECK(c.ask(get("/healthz")).body == "ok\n");
  const auto up = c.ask(get("/readyz"));
  CHECK(up.status == 200);
  CHECK(up.body == "ready\n");
  CHECK(up.field("content-type") == "text/plain");
  CHECK(up.field("date").size() == 29);
  ready = false;
  CHECK(is_problem(c.ask(get("/readyz")), 503, "not-ready"));
  const auto metrics_page = c.ask(get("/metrics"));
  CHECK(metrics_page.field("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics_page.body.find("cx_http_connections 1\n") != std::string::npos);
  CHECK(metrics_page.body.find("cx_requests_total{route=\"/readyz\",outcome=\"refused\"} 1") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "HEAD answers for GET, without the body") {
  start();
  auto c = client();
  REQUIRE(c.send("HEAD /healthz HTTP/1.1\r\nHost: test\r\n\r\n"));
  const auto head = c.read(true);
  CHECK(head.status == 200);
  CHECK(head.field("content-length") == "3");
  CHECK(c.ask(get("/healthz")).body == "ok\n");
}

TEST_CASE_FIXTURE(Fixture, "a method of the contract answers in JSON") {
  start();
  auto c = client();
  const auto version = c.ask(get("/v1/version"));
  CHECK(version.status == 200);
  CHECK(version.field("content-type") == "application/json");
  CHECK(version.body == R"({"version":"1.2.3","commit":"","build":""})");
  CHECK(is_problem(c.ask(get("/v1/version?shout=1")), 400, "unknown-field"));
  CHECK(is_problem(c.ask(get("/v1/shards")), 503, "not-served"));
  CHECK(c.ask("GET http://test/v1/version HTTP/1.1\r\nHost: test\r\n\r\n").status == 200);
}

TEST_CASE_FIXTURE(Fixture, "unknown paths and wrong methods are problems") {
  start();
  auto c = client();
  const auto unknown = c.ask(get("/v2/\xff" + std::string(300, 'x')));
  CHECK(is_problem(unknown, 404, "unknown-path"));
  CHECK(unknown.body.find("/v2/?xxx") != std::string::npos);
  CHECK(unknown.body.find(std::string(101, 'x')) == std::string::npos);
  CHECK(unknown.body.find("/openapi.json") != std::string::npos);
  CHECK(c.ask(get("/healtz")).body.find("Did you mean /healthz?") != std::string::npos);
  const auto wrong = c.ask(get("/v1/bid"));
  CHECK(is_problem(wrong, 405, "method-not-allowed"));
  CHECK(wrong.field("allow") == "POST, OPTIONS");
  const auto removed = c.ask("DELETE /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
  CHECK(removed.status == 405);
  CHECK(removed.field("allow") == "GET, HEAD, OPTIONS");
}

TEST_CASE_FIXTURE(Fixture, "a raw reply decides status, body and header fields") {
  start();
  auto c = client();
  REQUIRE(c.send(bid("{\"a\":1}")));
  auto request = agents.take();
  CHECK(request.body == "{\"a\":1}");
  CHECK(request.body.capacity() - request.body.size() >= kRawPadding);
  auto reply = RawReply::document("{}");
  reply.metadata.emplace_back("x-openrtb-version", "2.6");
  request.reply(reply);
  const auto document = c.read();
  CHECK(document.status == 200);
  CHECK(document.field("x-openrtb-version") == "2.6");
  CHECK(document.field("content-type") == "application/json");
  CHECK(document.body == "{}");

  REQUIRE(c.send(bid("x")));
  agents.take().reply(RawReply::empty());
  const auto nothing = c.read();
  CHECK(nothing.status == 204);
  CHECK(nothing.field("content-length").empty());
  CHECK(nothing.field("content-type").empty());

  REQUIRE(c.send(bid("x")));
  agents.take().reply(RawReply::failure({Code::invalid_argument, "invalid-bid-request", "No imp.", "/imp"}));
  const auto failed = c.read();
  CHECK(is_problem(failed, 400, "invalid-bid-request"));
  CHECK(failed.body.find("\"pointer\":\"/imp\"") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a dropped request is answered 500, a refused one 503") {
  start();
  auto c = client();
  REQUIRE(c.send(bid("x")));
  agents.take();
  CHECK(is_problem(c.read(), 500, "no-answer"));
  agents.refuse = true;
  const auto refused = c.ask(bid("x"));
  CHECK(is_problem(refused, 503, "overloaded"));
  CHECK(refused.field("retry-after") == "1");
  CHECK(refused.field("connection").empty());
}

TEST_CASE_FIXTURE(Fixture, "a method may answer later, from another thread, once, while others go on") {
  start();
  auto c = client(), other = client();
  REQUIRE(c.send(get("/v1/topology") + get("/v1/version")));
  const auto respond = methods.take();
  CHECK(other.ask(get("/v1/version")).body.find("1.2.3") != std::string::npos);
  CHECK_FALSE(c.readable(50));
  std::thread([&respond] {
    respond(test::FakeServices::topology("late"));
    respond(test::FakeServices::topology("too late"));
  }).join();
  const auto late = c.read();
  CHECK(late.status == 200);
  CHECK(late.field("content-type") == "application/json");
  CHECK(late.body.find("\"name\":\"late\"") != std::string::npos);
  CHECK(c.read().body.find("1.2.3") != std::string::npos);

  REQUIRE(c.send(get("/v1/topology")));
  methods.take()(Error{Code::not_found, "no-topology", "There is none.", ""});
  CHECK(is_problem(c.read(), 404, "no-topology"));
  REQUIRE(c.send("HEAD" + get("/v1/topology").substr(3)));
  methods.take()(test::FakeServices::topology("quiet"));
  CHECK(c.read(true).status == 200);
  CHECK(c.ask(get("/v1/version")).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "a method's request dropped unanswered is answered 500") {
  start();
  auto c = client();
  REQUIRE(c.send(get("/v1/topology")));
  methods.take();
  CHECK(is_problem(c.read(), 500, "no-answer"));
}

TEST_CASE_FIXTURE(Fixture, "a method's answer may find its client, or the server, gone") {
  start();
  auto c = client();
  REQUIRE(c.send(get("/v1/topology")));
  auto first = methods.take();
  c.reset();
  std::thread([&first] { first(test::FakeServices::topology("late")); }).join();
  auto d = client();
  CHECK(d.ask(get("/v1/version")).status == 200);
  REQUIRE(d.send(get("/v1/topology")));
  const auto second = methods.take();
  server.reset();
  second(test::FakeServices::topology("later"));
}

TEST_CASE_FIXTURE(Fixture, "the media type of a body is checked") {
  answer_at_once(*this);
  start();
  auto c = client();
  const auto typed = [&](const std::string& fields) {
    return c.ask("POST /v1/bid HTTP/1.1\r\nHost: test\r\n" + fields + "Content-Length: 2\r\n\r\n{}");
  };
  CHECK(typed("").status == 200);
  CHECK(typed("Content-Type: Application/JSON ; charset=utf-8\r\n").status == 200);
  CHECK(typed("Content-Encoding: identity\r\n").status == 200);
  CHECK(is_problem(typed("Content-Type: text/xml\r\n"), 415, "unsupported-media-type"));
  CHECK(is_problem(typed("Content-Encoding: gzip\r\n"), 415, "unsupported-content-encoding"));
  CHECK(typed("").status == 200);
}

TEST_CASE_FIXTURE(Fixture, "pipelined answers leave in the order of the requests") {
  config.set_max_pipeline(64);
  start();
  auto c = client();
  std::string burst;
  for (int i = 0; i < 64; ++i) burst += bid(std::to_string(i));
  REQUIRE(c.send(burst));
  std::vector<RawRequest> requests;
  for (int i = 0; i < 64; ++i) requests.push_back(agents.take());
  std::thread agent([&] {
    for (auto it = requests.rbegin(); it != requests.rend(); ++it) it->reply(echo(*it));
  });
  for (int i = 0; i < 64; ++i) CHECK(c.read().body == std::to_string(i));
  agent.join();
}

TEST_CASE_FIXTURE(Fixture, "reading pauses at the pipeline's limit and resumes") {
  config.set_max_pipeline(2);
  config.set_read_timeout_ms(50);  // must not count while it is the server that does not read
  start();
  auto c = client();
  std::string burst;
  for (int i = 0; i < 20; ++i) burst += bid(std::to_string(i));
  REQUIRE(c.send(burst));
  for (int i = 0; i < 20; i += 2) {
    auto first = agents.take(), second = agents.take();
    CHECK_FALSE(c.readable(i == 0 ? 100 : 0));
    CHECK(agents.waiting() == 0);
    second.reply(echo(second));
    first.reply(echo(first));
    CHECK(c.read().body == std::to_string(i));
    CHECK(c.read().body == std::to_string(i + 1));
  }
}

TEST_CASE_FIXTURE(Fixture, "a burst of more than the limit is answered though each answer is immediate") {
  config.set_max_pipeline(1);
  answer_at_once(*this);
  start();
  auto c = client();
  std::string burst;
  for (int i = 0; i < 1000; ++i) burst += bid(std::to_string(i));
  std::thread sender([&] { CHECK(c.send(burst)); });
  int in_order = 0;
  for (int i = 0; i < 1000; ++i) in_order += c.read().body == std::to_string(i);
  sender.join();
  CHECK(in_order == 1000);
}

TEST_CASE_FIXTURE(Fixture, "requests that waited for a slow reader go on when it reads") {
  config.set_max_pipeline(2);
  agents.at_once = [](RawRequest request) {
    request.reply(RawReply::document(std::string(1 << 20, request.body[0])));
  };
  start();
  auto c = client();
  std::string burst;
  for (int i = 0; i < 10; ++i) burst += bid(std::to_string(i));
  REQUIRE(c.send(burst));
  for (int i = 0; i < 10; ++i) CHECK(c.read().body == std::string(1 << 20, static_cast<char>('0' + i)));
}

TEST_CASE_FIXTURE(Fixture, "connections persist as their version and fields say") {
  start();
  auto old = client();
  CHECK(old.ask("GET /healthz HTTP/1.0\r\n\r\n").field("connection") == "close");
  CHECK(old.ended());
  auto kept = client();
  for (int i = 0; i < 2; ++i) {
    const auto response = kept.ask("GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    CHECK(response.status == 200);
    CHECK(response.field("connection") == "keep-alive");
  }
  auto closing = client();
  REQUIRE(closing.send(get("/healthz", "Connection: close\r\n") + get("/readyz")));
  CHECK(closing.read().field("connection") == "close");
  CHECK(closing.ended());
}

TEST_CASE_FIXTURE(Fixture, "a client that waits for 100 Continue gets it, in order") {
  start();
  auto c = client();
  REQUIRE(c.send(bid("first") +
                 "POST /v1/bid HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n"));
  auto first = agents.take();
  CHECK_FALSE(c.readable(50));
  first.reply(echo(first));
  CHECK(c.read().body == "first");
  CHECK(c.read().status == 100);
  REQUIRE(c.send("second"));
  auto second = agents.take();
  second.reply(echo(second));
  CHECK(c.read().body == "second");
}

TEST_CASE_FIXTURE(Fixture, "large and chunked bodies arrive whole, with room for a parser") {
  start();
  auto c = client();
  const std::string large(1 << 20, 'x');
  std::thread sender([&] { CHECK(c.send(bid(large))); });
  auto request = agents.take();
  CHECK(request.body == large);
  CHECK(request.body.capacity() - request.body.size() >= kRawPadding);
  request.reply(echo(request));
  CHECK(c.read().body == large);
  sender.join();

  const std::string start_line = "POST /v1/bid HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& bytes :
       {start_line + "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n", start_line + "0\r\n\r\n"}) {
    for (const char byte : bytes) REQUIRE(c.send(std::string(1, byte)));  // however it is cut
    auto chunked = agents.take();
    CHECK(chunked.body == (bytes.size() > start_line.size() + 5 ? "abcde" : ""));
    CHECK(chunked.body.capacity() - chunked.body.size() >= kRawPadding);
    chunked.reply(echo(chunked));
    CHECK(c.read().status == 200);
  }
}

TEST_CASE_FIXTURE(Fixture, "what could smuggle a request, or is none, is refused and closed") {
  start();
  const std::string post = "POST /v1/bid HTTP/1.1\r\n", host = "Host: test\r\n", zero = "0\r\n\r\n";
  for (const std::string& bytes : {
           std::string("hello\r\n\r\n"),
           std::string("GET /healthz HTTP/2.0\r\nHost: test\r\n\r\n"),
           std::string("GET /healthz HTTP/1.1\r\n\r\n"),
           std::string("GET /healthz HTTP/1.1\nHost: test\n\n"),
           get("/healthz", host),
           get("/healthz", "Bad Name: x\r\n"),
           get("/healthz", "X: a\rb\r\n"),
           get("/healthz", std::string("X: \0\r\n", 6)),
           post + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + zero,
           post + host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + zero,
           post + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
           post + host + "Content-Length: -1\r\n\r\n",
           post + host + "Content-Length: +1\r\n\r\na",
           post + host + "Content-Length: 99999999999999999999999\r\n\r\n",
           post + host + "Transfer-Encoding : chunked\r\n\r\n" + zero,
           post + host + "Transfer-Encoding: gzip\r\n\r\n" + zero,
           post + host + "Transfer-Encoding: gzip, chunked\r\n\r\n" + zero,
           post + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + zero,
           post + host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
           post + host + "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n" + zero,
           std::string("POST /v1/bid HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") + zero,
       }) {
    CAPTURE(bytes);
    auto c = client();
    const auto response = c.ask(bytes);
    CHECK(is_problem(response, 400, "malformed-request"));
    CHECK(response.field("connection") == "close");
    CHECK(c.ended());
  }
  CHECK(agents.waiting() == 0);
}

TEST_CASE_FIXTURE(Fixture, "empty lines before a request are skipped") {
  start();
  auto c = client();
  CHECK(c.ask("\r\n\r\n" + get("/healthz")).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "a half-closed client is answered, a truncated request refused") {
  start();
  auto half = client();
  REQUIRE(half.send(bid("x")));
  half.finish_sending();
  auto request = agents.take();
  request.reply(echo(request));
  const auto response = half.read();
  CHECK(response.body == "x");
  CHECK(half.ended());

  auto cut = client();
  REQUIRE(cut.send("POST /v1/bid HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc"));
  cut.finish_sending();
  CHECK(is_problem(cut.read(), 400, "incomplete-request"));
  CHECK(cut.ended());
}

}  // namespace cx::http
