#include "gateways/nats/queue.hpp"

#include <doctest/doctest.h>
#include <thread>

#include "fixture.hpp"

namespace cx::nats_gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A server's queue of bid requests, who fills it, and who drains it.
struct QueueFixture : Fixture {
  QueueFixture() {
    options.prefix = prefix;
    options.timeout = seconds(5);
    options.default_tmax = seconds(60);
    options.redeliver = seconds(1);
    node.contract = methods_of(contract_services(), node.services);
  }

  std::unique_ptr<Queue> open(Node& by) {
    if (by.contract.empty()) by.contract = methods_of(contract_services(), by.services);
    for (const auto& method : by.contract) {
      if (method.name != "cx.v1.Bidding.Bid") continue;
      auto opened = Queue::open(options, *by.connection, method, by.door.door, by.metrics,
                                [&by] { return by.ready.load(); });
      REQUIRE_MESSAGE(opened, opened.error().detail);
      return std::move(*opened);
    }
    return nullptr;
  }
  /// Makes the stream, with nobody to take anything.
  void make_stream() {
    Node other(server(), prefix);
    open(other);
  }

  void put(const std::string& payload, nats::Headers headers, const std::string& to) {
    headers.emplace_back("Cx-Reply-To", to);
    const auto stored = stream.publish(subject("bids.queue"), payload, headers, std::nullopt);
    REQUIRE_MESSAGE(stored, stored.error().detail);
  }
  std::uint64_t left() {
    const auto state = stream.state(prefix + "_bids", subject("bids.queue", "*"));
    return state ? state->messages : 999;
  }

  QueueOptions options;
  nats::JetStream stream{*client, seconds(5)};
  Inbox inbox{*client, "_INBOX." + prefix};
};

}  // namespace

TEST_CASE_FIXTURE(QueueFixture, "requests are taken in order, answered where they say, and gone") {
  make_stream();
  for (int i = 0; i < 20; ++i)
    put("{\"id\":" + std::to_string(i) + "}", good({{"X-Request-Id", "r" + std::to_string(i)}}),
        inbox.subject);
  CHECK(left() == 20);
  const auto queue = open(node);
  for (int i = 0; i < 20; ++i) {
    const auto request = node.agents.take();
    CHECK(request.body == "{\"id\":" + std::to_string(i) + "}");
    CHECK(request.body.capacity() >= request.body.size() + kRawPadding);
    CHECK(request.caller->tenant == "demo");
    request.reply(i % 2 == 0 ? RawReply::document("bid" + std::to_string(i)) : RawReply::empty());
  }
  for (int i = 0; i < 20; ++i) {
    const auto reply = inbox.take();
    CHECK(reply.header("X-Request-Id") == "r" + std::to_string(i));
    CHECK(reply.status == (i % 2 == 0 ? 200 : 204));
    CHECK(reply.payload == (i % 2 == 0 ? "bid" + std::to_string(i) : ""));
  }
  CHECK(becomes([&] { return left() == 0; }));
  CHECK(node.metric("cx_nats_queue_taken_total") == 20);
}

TEST_CASE_FIXTURE(QueueFixture, "a failed bid is answered, too") {
  const auto queue = open(node);
  put("{", good(), inbox.subject);
  node.agents.take().reply(RawReply::failure({Code::invalid_argument, "invalid-bid-request", "No.", ""}));
  CHECK(inbox.take().is_problem(400, "invalid-bid-request"));
  put("{}", good(), inbox.subject);
  node.agents.take();  // dropped
  CHECK(inbox.take().is_problem(500, "no-answer"));
  CHECK(becomes([&] { return left() == 0; }));
}

TEST_CASE_FIXTURE(QueueFixture, "what is late is not bid for") {
  make_stream();
  put(R"({"tmax": 1})", good(), inbox.subject);
  put("{}", good({{"Cx-Deadline", "1700000000000"}}), inbox.subject);
  put(R"({"tmax": 1})", good({{"Cx-Deadline", "9000000000000"}}), inbox.subject);  // the header goes first
  put("{}", good({{"Cx-Deadline", "soon"}}), inbox.subject);
  put("{}", good({{"Cx-Deadline", "-9223372036854775808"}}), inbox.subject);
  CHECK(becomes([&] {  // the first is late by now
    return system_environment().clock().unix_ms() > stream.get(prefix + "_bids", 1)->at + 1'000;
  }));
  const auto queue = open(node);
  CHECK(inbox.take().is_problem(504, "deadline-exceeded"));
  CHECK(inbox.take().is_problem(504, "deadline-exceeded"));
  CHECK(inbox.take().is_problem(400, "invalid-timeout"));
  CHECK(inbox.take().is_problem(400, "invalid-timeout"));
  const auto request = node.agents.take();
  CHECK(request.body == R"({"tmax": 1})");
  request.reply(RawReply::empty());
  CHECK(inbox.take().status == 204);
  CHECK(becomes([&] { return left() == 0; }));
  CHECK(node.metric("cx_nats_queue_expired_total") == 2);
}

TEST_CASE_FIXTURE(QueueFixture, "agents are told how much of the time is gone") {
  options.default_tmax = milliseconds(50'000);
  make_stream();
  put("{}", good(), inbox.subject);
  const auto at = stream.get(prefix + "_bids", 1)->at;
  CHECK(becomes([&] { return system_environment().clock().unix_ms() > at + 500; }));
  const auto queue = open(node);
  const auto request = node.agents.take();
  const auto age = std::chrono::steady_clock::now() - request.received;
  CHECK(age >= milliseconds(500));
  request.reply(RawReply::empty());
  CHECK(inbox.take().status == 204);
}

TEST_CASE_FIXTURE(QueueFixture, "a node takes as many as it has credit for") {
  options.credit = 3;
  options.redeliver = seconds(60);
  make_stream();
  for (int i = 0; i < 10; ++i) put(std::to_string(i), good(), inbox.subject);
  const auto queue = open(node);
  for (int i = 0; i < 10; ++i) {
    CHECK(becomes(
        [&] { return node.agents.waiting() == std::min<std::size_t>(3, static_cast<std::size_t>(10 - i)); }));
    const auto request = node.agents.take();
    CHECK(request.body == std::to_string(i));
    request.reply(RawReply::empty());
    CHECK(inbox.take().status == 204);
  }
  CHECK(node.metric("cx_nats_queue_taken_total") == 10);
}

TEST_CASE_FIXTURE(QueueFixture, "what a node had when it died is done by another") {
  Node second(server(), prefix);
  auto queue = open(node);
  put("{\"id\":1}", good(), inbox.subject);
  const auto held = node.agents.take();
  queue.reset();  // as good as dead: what it had is not settled, and what comes of it goes nowhere
  held.reply(RawReply::document("by the first"));
  const auto other = open(second);
  const auto again = second.agents.take();
  CHECK(again.body == "{\"id\":1}");
  again.reply(RawReply::document("by the second"));
  CHECK(inbox.take().payload == "by the second");
  CHECK(becomes([&] { return left() == 0; }));
  CHECK(inbox.empty());
}

TEST_CASE_FIXTURE(QueueFixture, "an overloaded node gives back what it cannot take") {
  node.agents.refuse = true;
  const auto queue = open(node);
  put("{}", good(), inbox.subject);
  CHECK(becomes([&] { return node.metric("cx_nats_queue_postponed_total") >= 2; }));
  CHECK(inbox.empty());
  node.agents.refuse = false;
  node.agents.take().reply(RawReply::empty());
  CHECK(inbox.take().status == 204);
}

TEST_CASE_FIXTURE(QueueFixture, "what nobody manages ends as a dead letter, without its credential") {
  options.attempts = 2;
  node.agents.refuse = true;
  const auto queue = open(node);
  put("{\"poison\":1}", good(), inbox.subject);
  CHECK(becomes([&] { return node.metric("cx_nats_queue_dead_total") == 1; }));
  const auto dead = stream.last(prefix + "_bids", subject("bids.dead"));
  REQUIRE(dead);
  CHECK(dead->payload == "{\"poison\":1}");
  const auto letter = Reply{0, dead->headers, ""};
  CHECK(letter.header("Cx-Reason") == "too-many-attempts");
  CHECK(letter.header("Cx-Attempts") == "3");
  CHECK(letter.header("Authorization").empty());
  CHECK(becomes([&] { return left() == 0; }));
  CHECK(inbox.empty());
}

TEST_CASE_FIXTURE(QueueFixture, "who may not, and who wants the answer elsewhere, is refused") {
  const auto queue = open(node);
  put("{}", {{"Authorization", "Bearer bad"}}, inbox.subject);
  CHECK(inbox.take().is_problem(401, "invalid-credential"));
  put("{}", {{"Authorization", "Bearer poor"}}, inbox.subject);
  CHECK(inbox.take().is_problem(403, "permission-missing"));
  REQUIRE(stream.publish(subject("bids.queue", "other"), "{}", good({{"Cx-Reply-To", inbox.subject}}),
                         std::nullopt));
  CHECK(inbox.take().is_problem(404, "unknown-subject"));
  put("{}", {{"Authorization", "Bearer bad"}}, prefix + "-journal.5");  // leaves no trace
  CHECK(becomes([&] { return node.metric("cx_nats_queue_refused_total") == 4; }));
  put("{}", good(), prefix + "-journal.5");
  CHECK(becomes([&] { return node.metric("cx_nats_queue_dead_total") == 1; }));
  CHECK(becomes([&] { return left() == 0; }));
  CHECK(node.agents.waiting() == 0);
  const auto dead = stream.last(prefix + "_bids", subject("bids.dead"));
  REQUIRE(dead);
  CHECK(Reply{0, dead->headers, ""}.header("Cx-Reason") == "invalid-reply-to");
}

TEST_CASE_FIXTURE(QueueFixture, "a draining node finishes what it took and leaves the rest") {
  options.credit = 2;
  options.redeliver = seconds(60);
  const auto queue = open(node);
  for (int i = 0; i < 4; ++i) put(std::to_string(i), good(), inbox.subject);
  auto first = node.agents.take();
  auto second = node.agents.take();
  std::thread drain([&] { queue->drain(seconds(30)); });
  CHECK(becomes([&] { return left() == 4; }));
  node.ready = false;
  first.reply(RawReply::document("0"));
  second.reply(RawReply::document("1"));
  drain.join();
  CHECK(inbox.take().payload == "0");
  CHECK(inbox.take().payload == "1");
  const auto taken = node.metric("cx_nats_queue_taken_total");
  CHECK(taken >= 2);
  CHECK(taken <= 4);
}

TEST_CASE_FIXTURE(QueueFixture, "a node that is not ready takes nothing") {
  node.ready = false;
  const auto queue = open(node);
  put("{}", good(), inbox.subject);
  std::this_thread::sleep_for(milliseconds(300));
  CHECK(node.agents.waiting() == 0);
  node.ready = true;
  node.agents.take().reply(RawReply::empty());
  CHECK(inbox.take().status == 204);
}

TEST_CASE("a queue survives the restart of its server, and the loss of its stream") {
  test::NatsServer server;
  Node node(server, "q");
  node.contract = methods_of(contract_services(), node.services);
  node.agents.at_once = [](const RawRequest& request) { request.reply(RawReply::document(request.body)); };
  QueueOptions options;
  options.prefix = "q";
  options.default_tmax = seconds(60);
  options.redeliver = seconds(1);
  std::unique_ptr<Queue> queue;
  for (const auto& method : node.contract)
    if (method.name == "cx.v1.Bidding.Bid") {
      auto opened =
          Queue::open(options, *node.connection, method, node.door.door, node.metrics, [] { return true; });
      REQUIRE(opened);
      queue = std::move(*opened);
    }
  const auto client = connect(server);
  nats::JetStream stream(*client, seconds(5));
  Inbox inbox(*client, "_INBOX.q");
  const auto put = [&](const std::string& payload) {
    CHECK(becomes([&] {
      return bool(
          stream.publish("q.demo.bids.queue", payload, good({{"Cx-Reply-To", inbox.subject}}), std::nullopt));
    }));
    auto reply = inbox.take();  // an earlier one comes twice where its settlement was lost
    while (reply.status != 0 && reply.payload < payload) reply = inbox.take();
    CHECK(reply.payload == payload);
  };
  put("1");
  server.stop();
  server.start();
  put("2");
  server.kill();
  server.start();
  put("3");
  REQUIRE(client->request("$JS.API.STREAM.DELETE.q_bids", "", {}, seconds(5)));
  put("4");
}

}  // namespace cx::nats_gateway
