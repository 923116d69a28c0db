#include <doctest/doctest.h>
#include <thread>

#include "cx/v1/bidding.pb.h"
#include "cx/v1/operations.pb.h"
#include "fixture.hpp"
#include "gateways/nats/subjects.hpp"

namespace cx::nats_gateway {
namespace {

using std::chrono::seconds;
using test::http::Book;
using test::http::BookRequest;
using test::http::LendBookRequest;
using test::http::UpdateBookRequest;

const nats::Headers kProtobuf{{"Content-Type", "application/x-protobuf"}};

Services::Reply book(const std::string& etag, const std::string& title = "t") {
  auto reply = std::make_shared<Book>();
  reply->set_etag(etag);
  reply->set_title(title);
  return {std::move(reply)};
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "every method refuses whom it should refuse") {
  start();
  int refused = 0;
  for (const auto& method : node.contract) {
    if (method.access == Method::Access::everybody) continue;
    CAPTURE(method.name);
    const auto words = words_of(method);
    const auto at = subject(words.service + "." + words.method);
    CHECK(ask_as("", at, "{}").is_problem(401, "no-credential"));
    CHECK(ask_as("Bearer bad", at, "{}").is_problem(401, "invalid-credential"));
    if (method.access == Method::Access::permitted)
      CHECK(ask_as("Bearer poor", at, "{}").is_problem(403, "permission-missing"));
    if (method.body_credential.empty())
      CHECK(ask_as("Bearer source", at, "{}").is_problem(403, "events-only"));
    const auto other = subject(words.service + "." + words.method, "other");
    CHECK(ask_as("Bearer good", other, "{}").is_problem(404, "unknown-subject"));
    ++refused;
  }
  CHECK(refused > 50);
  CHECK(node.agents.waiting() == 0);
  CHECK(node.library.request == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "a request in JSON is answered in JSON, as HTTP does") {
  node.library.answer = [](const auto&) { return book("v\"7"); };
  start();
  const auto reply = ask("library.get-book", R"({"id": "moby"})", {{"X-Request-Id", "r-1"}});
  CHECK(reply.status == 200);
  CHECK(reply.payload == R"({"id":"","title":"t","pages":0,"etag":"v\"7","tags":[]})");
  CHECK(reply.header("Content-Type") == "application/json");
  CHECK(reply.header("ETag") == "\"v'7\"");
  CHECK(reply.header("X-Request-Id") == "r-1");
  CHECK(node.library.asked<BookRequest>().id() == "moby");
  CHECK(node.library.called().caller->tenant == "demo");
  CHECK(ask("library.get-book", "").status == 200);  // an empty payload is an empty message
}

TEST_CASE_FIXTURE(Fixture, "a request in Protobuf is answered in Protobuf") {
  node.library.answer = [](const auto&) { return book("e"); };
  start();
  BookRequest request;
  request.set_id("moby");
  const auto reply = ask("library.get-book", request.SerializeAsString(), kProtobuf);
  CHECK(reply.status == 200);
  CHECK(reply.header("Content-Type") == "application/x-protobuf");
  Book answer;
  REQUIRE(answer.ParseFromString(reply.payload));
  CHECK(answer.title() == "t");
  CHECK(node.library.asked<BookRequest>().id() == "moby");
  CHECK(ask("library.get-book", "\xff\xff", kProtobuf).is_problem(400, "invalid-request"));
}

TEST_CASE_FIXTURE(Fixture, "header fields mean what they mean over HTTP") {
  start();
  SUBCASE("If-Match") {
    CHECK(ask("library.delete-book", R"({"id":"a"})", {{"If-Match", "\"v1\""}}).status == 200);
    CHECK(node.library.asked<BookRequest>().if_match() == "v1");
    CHECK(ask("library.delete-book", R"({"id":"a"})", {{"If-Match", "v1"}})
              .is_problem(400, "invalid-if-match"));
    CHECK(ask("library.hours", "{}", {{"If-Match", "\"v1\""}}).is_problem(400, "if-match-unsupported"));
  }
  SUBCASE("Idempotency-Key") {
    CHECK(ask("library.lend-book", R"({"id":"a","to":"b"})", {{"Idempotency-Key", "k1"}}).status == 200);
    CHECK(node.library.called().idempotency_key == "k1");
    CHECK(ask("library.create-book", R"({"book":{"id":"a"}})", {{"Idempotency-Key", "k1"}})
              .is_problem(400, "idempotency-key-unsupported"));
    CHECK(ask("library.lend-book", "{}", {{"Idempotency-Key", "a b"}})
              .is_problem(400, "invalid-idempotency-key"));
  }
  SUBCASE("traceparent and X-Timeout-Ms, in either spelling") {
    CHECK(ask("library.get-book", "{}",
              {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
               {"x-timeout-ms", "60000"}})
              .status == 200);
    CHECK(node.library.called().trace == "0af7651916cd43dd8448eb211c80319c");
    CHECK(node.library.called().deadline > system_environment().clock().unix_ms());
    CHECK(ask("library.get-book", "{}", {{"X-Timeout-Ms", "soon"}}).is_problem(400, "invalid-timeout"));
  }
  SUBCASE("Content-Type and Content-Encoding") {
    CHECK(ask("library.get-book", "{}", {{"Content-Type", "application/json; charset=utf-8"}}).status == 200);
    CHECK(ask("library.get-book", "{}", {{"Content-Type", "text/plain"}})
              .is_problem(415, "unsupported-media-type"));
    CHECK(ask("library.get-book", "{}", {{"Content-Encoding", "gzip"}})
              .is_problem(415, "unsupported-content-encoding"));
    CHECK(ask("bids.bid", "{}", kProtobuf).is_problem(415, "unsupported-media-type"));
  }
  SUBCASE("X-Api-Key") {
    CHECK(reply_of(client->request(subject("library.get-book"), "{}", {{"X-Api-Key", "good"}}, seconds(30)))
              .status == 200);
  }
}

TEST_CASE_FIXTURE(Fixture, "a PATCH without a mask is of what its payload mentions") {
  start();
  CHECK(ask("library.update-book", R"({"book": {"id": "a", "title": "b"}})").status == 200);
  auto asked = node.library.asked<UpdateBookRequest>();
  REQUIRE(asked.update_mask().paths_size() == 2);
  CHECK(asked.update_mask().paths(1) == "title");
  CHECK(ask("library.update-book", R"({"book": {"id": "a", "title": "b"}, "update_mask": "pages"})").status ==
        200);
  asked = node.library.asked<UpdateBookRequest>();
  REQUIRE(asked.update_mask().paths_size() == 1);
  CHECK(asked.update_mask().paths(0) == "pages");
}

TEST_CASE_FIXTURE(Fixture, "an error is a status and a problem document") {
  std::atomic<int> next{0};
  const std::pair<Code, int> table[] = {{Code::invalid_argument, 400},  {Code::not_found, 404},
                                        {Code::conflict, 409},          {Code::overloaded, 503},
                                        {Code::deadline_exceeded, 504}, {Code::unavailable, 503},
                                        {Code::internal, 500},          {Code::unauthenticated, 401},
                                        {Code::permission_denied, 403}, {Code::precondition_failed, 412}};
  node.library.answer = [&](const auto&) -> Services::Reply {
    return Error{table[next].first, "some-type", "What was wrong: \xc3\xa9.", "/id"};
  };
  start();
  for (next = 0; next < 10; ++next) {
    const auto reply = ask("library.get-book", "{}");
    CHECK(reply.is_problem(table[next].second, "some-type"));
    CHECK(reply.payload.find("\"pointer\":\"/id\"") != std::string::npos);
    CHECK(reply.header("Retry-After") == (table[next].first == Code::overloaded ? "1" : ""));
  }
  // What never gets there.
  CHECK(ask("library.get-book", "{").is_problem(400, "malformed-json"));
  CHECK(ask("library.get-book", R"({"nothing": 1})").is_problem(400, "unknown-field"));
  CHECK(ask("library.lend-book", "{}").is_problem(400, "required-field"));
  CHECK(ask("library.burn-book", "{}").is_problem(404, "unknown-subject"));
  CHECK(ask("library.get-book", std::string(100'001, ' ')).is_problem(413, "body-too-large"));
  CHECK(ask("tenants.list", "{}").is_problem(503, "not-served"));
}

TEST_CASE_FIXTURE(Fixture, "odd subjects reach nothing") {
  start();
  for (const auto* tenant : {"*", ">", "Demo", "demo$", "d%20"}) {
    CAPTURE(std::string(tenant));
    const auto reply = ask_as("Bearer good", prefix + "." + tenant + ".library.get-book", "{}");
    CHECK((reply.is_problem(404, "unknown-subject") || reply.status == 0));  // or the client refuses it
  }
  CHECK(node.library.request == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "an answer too large for a message says so") {
  node.library.answer = [](const auto&) { return book("e", std::string(2 << 20, 'x')); };
  start();
  CHECK(ask("library.get-book", "{}").is_problem(400, "reply-too-large"));
}

TEST_CASE_FIXTURE(Fixture, "a document of another type comes as it is") {
  node.library.answer = [](const auto&) -> Services::Reply {
    auto raw = std::make_shared<v1::RawBody>();
    raw->set_content_type("text/csv");
    raw->set_body("a,b\n");
    return {std::move(raw)};
  };
  start();
  auto reply = ask("library.export-books", "");
  CHECK(reply.header("Content-Type") == "text/csv");
  CHECK(reply.payload == "a,b\n");
  reply = ask("library.export-books", "", kProtobuf);
  v1::RawBody raw;
  REQUIRE(raw.ParseFromString(reply.payload));
  CHECK(raw.content_type() == "text/csv");
}

TEST_CASE_FIXTURE(Fixture, "raw requests go to their agents untouched, and so do answers") {
  std::atomic<int> kind{0};
  node.agents.at_once = [&](RawRequest request) {
    CHECK(request.body.capacity() >= request.body.size() + kRawPadding);
    CHECK(request.caller->tenant == "demo");
    if (kind == 0) return request.reply(RawReply::document("<" + request.body + ">"));
    if (kind == 1) {
      auto none = RawReply::empty();
      none.metadata.emplace_back("x-openrtb-nbr", "8\r\nEvil: 1");
      return request.reply(std::move(none));
    }
    if (kind == 2) return;  // dropped
    request.reply(RawReply::failure({Code::invalid_argument, "invalid-bid-request", "No.", "/imp"}));
  };
  start();
  auto reply = ask("bids.bid", "not looked at");
  CHECK(reply.status == 200);
  CHECK(reply.payload == "<not looked at>");
  CHECK(reply.header("Content-Type") == "application/json");
  kind = 1;
  reply = ask("bids.bid", "{}");
  CHECK(reply.status == 204);
  CHECK(reply.payload.empty());
  CHECK(reply.header("x-openrtb-nbr") == "8  Evil: 1");
  kind = 2;
  CHECK(ask("bids.bid", "{}").is_problem(500, "no-answer"));
  kind = 3;
  CHECK(ask("bids.bid", "{}").is_problem(400, "invalid-bid-request"));
  CHECK(ask("bids.bid", "{}", {{"Idempotency-Key", "k"}}).is_problem(400, "idempotency-key-unsupported"));
  node.agents.refuse = true;
  reply = ask("bids.bid", "{}");
  CHECK(reply.is_problem(503, "overloaded"));
  CHECK(reply.header("Retry-After") == "1");
  CHECK(ask("events.page", "{}").is_problem(503, "not-served"));
  auto& probe = node.metrics.endpoint("nats cx.v1.Bidding.Bid");
  CHECK(probe.ok.value() == 1);
  CHECK(probe.empty.value() == 1);
  CHECK(probe.refused.value() == 1);
}

TEST_CASE_FIXTURE(Fixture, "events may carry their key in the payload, and sources may send them") {
  node.tracks.at_once = [](const RawRequest& request) { request.reply(RawReply::document("{}")); };
  start();
  CHECK(ask_as("", subject("events.track"), R"({"writeKey": "good", "event": "x"})").status == 200);
  CHECK(ask_as("Bearer source", subject("events.track"), "{}").status == 200);
  CHECK(ask_as("", subject("events.track"), R"({"writeKey": "bad"})").is_problem(401, "invalid-credential"));
  CHECK(ask_as("", subject("events.track", "other"), R"({"writeKey": "good"})")
            .is_problem(404, "unknown-subject"));
}

TEST_CASE_FIXTURE(Fixture, "public methods need no credential") {
  node.library.answer = [](const auto&) { return book("e"); };
  start();
  CHECK(ask_as("", subject("library.hours"), "").status == 200);
  CHECK(ask_as("", subject("library.hours", "anybody"), "").status == 200);
}

TEST_CASE_FIXTURE(Fixture, "quotas are told, and kept") {
  node.door.authenticator.quota = {2, 60, 1, 60, 7};
  node.door.authenticator.tokens = 1;
  node.library.answer = [](const auto&) { return book("e"); };
  start();
  CHECK(ask("library.get-book", "{}").header("RateLimit-Policy") == "\"default\";q=2;w=60");
  const auto reply = ask("library.get-book", "{}");
  CHECK(reply.is_problem(429, "rate-limited"));
  CHECK(reply.header("Retry-After") == "7");
}

TEST_CASE_FIXTURE(Fixture, "requests over the limit are told to retry") {
  node.config.mutable_nats()->mutable_gateway()->set_max_requests(2);
  start();
  Inbox inbox(*client, "_INBOX." + prefix);
  for (int i = 0; i < 2; ++i)
    CHECK_FALSE(client->publish(subject("operations.topology"), "{}", good(), inbox.subject));
  auto first = node.methods.take();
  auto second = node.methods.take();
  const auto refused = ask("operations.version", "{}");
  CHECK(refused.is_problem(503, "overloaded"));
  CHECK(refused.header("Retry-After") == "1");
  first(test::FakeServices::topology("n"));
  second(test::FakeServices::topology("n"));
  CHECK(inbox.take().status == 200);
  CHECK(inbox.take().status == 200);
  { [[maybe_unused]] const auto gone = std::make_pair(std::move(first), std::move(second)); }
  CHECK(becomes([&] { return ask("operations.version", "{}").status == 200; }));
}

TEST_CASE_FIXTURE(Fixture, "a request that nobody waits for is served, and its failure counted") {
  start();
  CHECK_FALSE(client->publish(subject("library.get-book"), R"({"id":"quiet"})", good()));
  CHECK(becomes([&] {
    const std::lock_guard lock(node.library.mutex);
    return node.library.request != nullptr;
  }));
  CHECK(node.library.asked<BookRequest>().id() == "quiet");
  CHECK(node.metric("cx_nats_unanswered_total") == 0);
  CHECK_FALSE(client->publish(subject("library.get-book"), "{", good()));
  CHECK(becomes([&] { return node.metric("cx_nats_unanswered_total") == 1; }));
}

TEST_CASE_FIXTURE(Fixture, "answers go to the tenant's replies, and not where others are") {
  start();
  Inbox replies(*client, subject("replies.mine"));
  CHECK_FALSE(client->publish(subject("operations.version"), "{}", good(), replies.subject));
  CHECK(replies.take().status == 200);
  Inbox elsewhere(*client, prefix + "-journal.5");
  CHECK_FALSE(client->publish(subject("operations.version"), "{}", good(), elsewhere.subject));
  CHECK(becomes([&] { return node.metric("cx_nats_misdirected_total") == 1; }));
  CHECK(ask("operations.version", "{}").status == 200);
  CHECK(elsewhere.empty());
}

TEST_CASE_FIXTURE(Fixture, "a draining node answers what it has and leaves the rest to others") {
  Node second(server(), prefix);
  start();
  Inbox inbox(*client, "_INBOX." + prefix);
  CHECK_FALSE(client->publish(subject("operations.topology"), "{}", good(), inbox.subject));
  auto waiting = std::make_optional(node.methods.take());
  second.start();
  std::thread drain([this] { node.gateway->drain(seconds(30)); });
  CHECK(becomes([&] {  // everything goes to the other
    for (int i = 0; i < 10; ++i) CHECK(ask("library.get-book", R"({"id":"x"})").status == 200);
    const std::lock_guard lock(second.library.mutex);
    return second.library.request != nullptr;
  }));
  CHECK(inbox.empty());
  (*waiting)(test::FakeServices::topology("first"));
  waiting.reset();
  drain.join();
  const auto reply = inbox.take();
  CHECK(reply.payload.find("first") != std::string::npos);
  for (int i = 0; i < 20; ++i) CHECK(ask("operations.version", "{}").status == 200);
  second.gateway->drain(seconds(30));
  CHECK(ask("operations.version", "{}").payload == "unavailable");  // nobody there
}

TEST_CASE_FIXTURE(Fixture, "nodes that drain one after the other lose no request") {
  std::vector<std::unique_ptr<Node>> nodes;
  for (int i = 0; i < 2; ++i) nodes.push_back(std::make_unique<Node>(server(), prefix));
  start();
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0}, lost{0};
  std::thread asking([&] {
    while (!stop) ask("operations.version", "{}").status == 200 ? ++answered : ++lost;
  });
  for (auto& next : nodes) {
    next->start();
    CHECK(becomes([&, before = answered.load()] { return answered > before + 100; }));
    auto& previous = &next == &nodes.front() ? node : *nodes.front();
    previous.gateway->drain(seconds(30));
    CHECK(becomes([&, before = answered.load()] { return answered > before + 100; }));
  }
  stop = true;
  asking.join();
  CHECK(lost == 0);
}

TEST_CASE_FIXTURE(Fixture, "an answer after the gateway's end goes nowhere") {
  start();
  CHECK_FALSE(client->publish(subject("operations.topology"), "{}", good()));
  auto late = node.methods.take();
  CHECK_FALSE(client->publish(subject("bids.bid"), "{}", good()));
  auto raw = node.agents.take();
  node.gateway.reset();
  node.connection.reset();
  late(test::FakeServices::topology("n"));
  raw.reply(RawReply::document("{}"));
}

TEST_CASE_FIXTURE(Fixture, "two nodes share the requests") {
  Node second(server(), prefix);
  start();
  second.start();
  CHECK(becomes([&] {
    CHECK(ask("library.get-book", "{}").status == 200);
    const auto asked = [](Node& one) {
      const std::lock_guard lock(one.library.mutex);
      return one.library.request != nullptr;
    };
    return asked(node) && asked(second);
  }));
}

}  // namespace cx::nats_gateway
