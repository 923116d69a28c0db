#include "runtime/nats/connection.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "tests/nats/nats_server.hpp"
#include "tests/nats/waiting.hpp"

namespace cx::nats {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::NatsServer;

std::unique_ptr<Connection> open(const v1::NatsConfig& config) {
  auto connection = Connection::open(config, "test");
  REQUIRE_MESSAGE(bool(connection), (connection ? "" : connection.error().detail));
  return std::move(*connection);
}

/// What a subscription heard, as text.
struct Heard {
  std::mutex mutex;
  std::vector<std::string> payloads;

  Connection::Handler handler() {
    return [this](const Incoming& incoming) {
      std::lock_guard lock(mutex);
      payloads.emplace_back(incoming.payload);
    };
  }
  std::size_t count() {
    std::lock_guard lock(mutex);
    return payloads.size();
  }
};

TEST_CASE("a message reaches all subscribers, and one of each queue, with its headers") {
  NatsServer server;
  const auto one = open(server.config());
  const auto two = open(server.config());
  CHECK(one->connected());
  CHECK(one->max_payload() == 1'048'576);
  Heard all, left, right;
  std::promise<Headers> headers;
  std::promise<std::string> value;
  const auto everything = two->subscribe("a.*", "", all.handler());
  const auto first = one->subscribe("a.*", "workers", left.handler());
  const auto second = two->subscribe("a.*", "workers", right.handler());
  const auto detailed = two->subscribe("b", "", [&](const Incoming& incoming) {
    value.set_value(std::string(incoming.header("Kind")));
    headers.set_value(incoming.headers());
  });
  REQUIRE((everything && first && second && detailed));
  // A request behind the subscriptions on each connection: the server knows them.
  for (const auto* connection : {&one, &two}) CHECK(!(*connection)->request("nobody", "", {}, 2s));
  for (int i = 0; i < 1000; ++i) CHECK(!one->publish("a." + std::to_string(i % 7), std::to_string(i)));
  CHECK(eventually([&] { return all.count() == 1000 && left.count() + right.count() == 1000; }));
  CHECK(left.count() > 0);
  CHECK(right.count() > 0);
  for (int i = 0; i < 1000; ++i) CHECK(all.payloads[i] == std::to_string(i));

  CHECK(!one->publish("b", "", {{"Kind", "one"}, {"Other", "a b: c"}}));
  CHECK(value.get_future().get() == "one");
  auto got = headers.get_future().get();
  std::ranges::sort(got);
  CHECK(got == Headers{{"Kind", "one"}, {"Other", "a b: c"}});
}

TEST_CASE("requests are answered, each with its own answer, or say why not") {
  NatsServer server;
  const auto connection = open(server.config());
  const auto echo = connection->subscribe("echo", "", [&](const Incoming& incoming) {
    CHECK(!connection->publish(incoming.reply, "re " + std::string(incoming.payload)));
  });
  const auto mute = connection->subscribe("mute", "", [](const Incoming&) {});
  REQUIRE((echo && mute));

  constexpr int kMany = 20'000;
  std::atomic<int> right = 0, done = 0;
  for (int i = 0; i < kMany; ++i)
    connection->ask("echo", std::to_string(i), {}, 60s, [&, i](const Result<Received>& answer) {
      if (answer && answer->payload == "re " + std::to_string(i)) ++right;
      ++done;
    });
  CHECK(eventually([&] { return done == kMany; }));
  CHECK(right == kMany);

  const auto nobody = connection->request("nobody", "x", {}, 10s);
  REQUIRE(!nobody);
  CHECK(nobody.error().type == "unavailable");
  const auto silent = connection->request("mute", "x", {}, 50ms);
  REQUIRE(!silent);
  CHECK(silent.error().type == "timeout");
}

TEST_CASE("what is no message is refused before it is sent") {
  NatsServer server;
  const auto connection = open(server.config());
  for (const auto* subject : {"", "a b", "a\r\nPUB b 0\r\n", "a\tb"})
    CHECK(connection->publish(subject, "").value().type == "nats-failed");
  for (const auto& header : Headers{{"", "x"}, {"a b", "x"}, {"a:b", "x"}, {"a", "x\r\nb: y"}})
    CHECK(connection->publish("a", "", {header}).value().type == "nats-failed");
  CHECK(connection->publish("a", "", {}, "b c").value().type == "nats-failed");
  CHECK(connection->publish("a", std::string(connection->max_payload() + 1, 'x')).value().type ==
        "nats-failed");
  CHECK(
      connection->request("a", std::string(connection->max_payload(), 'x'), {{"a", "b"}}, 1s).error().type ==
      "nats-failed");
  CHECK(!connection->subscribe("a b", "", [](const Incoming&) {}));
}

TEST_CASE("a handler that is too slow loses messages, and is told how many") {
  NatsServer server;
  const auto connection = open(server.config());
  std::promise<void> blocked, go;
  std::atomic<std::uint64_t> lost = 0, seen = 0;
  std::atomic<bool> first = true;
  const auto slow = connection->subscribe(
      "a", "",
      [&](const Incoming&) {
        ++seen;
        if (!first.exchange(false)) return;
        blocked.set_value();
        go.get_future().wait();
      },
      10, [&](std::uint64_t so_far) { lost = so_far; });
  REQUIRE(slow);
  CHECK(!connection->publish("a", ""));
  blocked.get_future().wait();
  for (int i = 0; i < 100; ++i) CHECK(!connection->publish("a", ""));
  CHECK(!connection->request("nobody", "", {}, 10s));  // the server has sent them all
  go.set_value();
  CHECK(eventually([&] { return seen + lost == 101; }));
  CHECK(lost == 90);
}

TEST_CASE("no call of a handler is under way when its subscription has gone, and a handler may end its own") {
  NatsServer server;
  const auto connection = open(server.config());
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> inside = false;
    std::atomic<int> calls = 0;
    auto subscription = connection->subscribe("a", "", [&](const Incoming&) {
      inside = true;
      ++calls;
      std::this_thread::yield();
      inside = false;
    });
    REQUIRE(subscription);
    for (int i = 0; i < 200; ++i) CHECK(!connection->publish("a", ""));
    CHECK(eventually([&] { return calls > 0; }));
    subscription->reset();
    CHECK(!inside);
  }
  std::unique_ptr<Subscription> own;
  std::atomic<int> calls = 0;
  std::mutex mutex;
  {
    std::lock_guard lock(mutex);
    auto subscription = connection->subscribe("b", "", [&](const Incoming&) {
      std::lock_guard inner(mutex);
      own.reset();
      ++calls;
    });
    REQUIRE(subscription);
    own = std::move(*subscription);
  }
  for (int i = 0; i < 10; ++i) CHECK(!connection->publish("b", ""));
  CHECK(eventually([&] { return calls == 1; }));
  CHECK(!connection->request("nobody", "", {}, 10s));
  CHECK(calls == 1);
}

TEST_CASE(
    "a server that dies: what is under way is unknown, what comes is refused, and all goes on with the next "
    "one") {
  NatsServer server;
  const auto connection = open(server.config());
  std::atomic<int> heard = 0;
  const auto mute = connection->subscribe("a", "", [&](const Incoming&) { ++heard; });
  REQUIRE(mute);
  std::mutex mutex;
  std::multiset<std::string> errors;
  for (int i = 0; i < 100; ++i)
    connection->ask("a", "", {}, 60s, [&](const Result<Received>& answer) {
      std::lock_guard lock(mutex);
      errors.insert(answer ? "" : answer.error().type);
    });
  CHECK(eventually([&] { return heard == 100; }));
  server.kill();
  CHECK(eventually([&] {
    std::lock_guard lock(mutex);
    return errors.size() == 100;
  }));
  CHECK(errors.count("timeout") == 100);
  CHECK(!connection->connected());
  CHECK(connection->publish("a", "").value().type == "unavailable");
  CHECK(connection->request("a", "", {}, 10s).error().type == "unavailable");
  server.start();
  CHECK(eventually([&] { return connection->connected(); }));
  CHECK(eventually([&] { return !connection->publish("a", "") && heard > 100; }));
}

TEST_CASE("a server that stands still takes nobody down with it") {
  NatsServer server;
  auto config = server.config();
  config.set_timeout_ms(300);
  const auto connection = open(config);
  server.pause();
  CHECK(connection->request("a", "", {}, 100ms).error().type == "timeout");
  // More than the socket and the queue hold.
  const std::string payload(500'000, 'x');
  CHECK(eventually([&] {
    const auto error = connection->publish("a", payload);
    if (error) CHECK(error->type == "unavailable");
    return error.has_value();
  }));
  server.resume();
  CHECK(eventually([&] {
    const auto answer = connection->request("nobody", "", {}, 1s);
    return answer.error().detail.find("nobody answers") != std::string::npos;
  }));
}

TEST_CASE("draining a subscription is not upset by what is sent meanwhile") {
  NatsServer server;
  const auto connection = open(server.config());
  const auto other = open(server.config());
  std::atomic<bool> stop = false;
  std::thread slow([&] {  // a server that answers about when the writer gives up waiting
    while (!stop) {
      server.pause();
      std::this_thread::sleep_for(500us);
      server.resume();
      std::this_thread::sleep_for(500us);
    }
  });
  for (int round = 0; round < 500; ++round) {
    auto subscription = connection->subscribe("a", "workers", [](const Incoming&) {});
    REQUIRE(subscription);
    CHECK(!connection->request("nobody", "", {}, 30s));
    CHECK(!connection->publish("b", "", {}));
    std::this_thread::sleep_for(std::chrono::microseconds(900 + round % 300));
    CHECK((*subscription)->drain(10s));
    subscription->reset();
    const auto answer = other->request("a", "", {}, 10s);
    REQUIRE(!answer);
    CHECK(answer.error().type == "unavailable");
  }
  stop = true;
  slow.join();
}

TEST_CASE("servers that are not there are unavailable, and a config that makes no sense is refused") {
  NatsServer server;
  auto gone = server.config();
  gone.set_timeout_ms(200);
  server.kill();
  const auto failed = Connection::open(gone, "test");
  REQUIRE(!failed);
  CHECK(failed.error().type == "unavailable");

  const auto refused = [&](auto change, const char* pointer) {
    auto config = server.config();
    change(config);
    const auto result = Connection::open(config, "test");
    REQUIRE(!result);
    CHECK(result.error().type == "invalid-config");
    CHECK(result.error().pointer == pointer);
    CHECK(result.error().detail.find("secret") == std::string::npos);
  };
  refused([](v1::NatsConfig& c) { c.clear_urls(); }, "/nats/urls");
  refused([](v1::NatsConfig& c) { c.set_urls(0, "http://127.0.0.1:1"); }, "/nats/urls");
  refused([](v1::NatsConfig& c) { c.set_urls(0, "nats://me:secret@127.0.0.1:1"); }, "/nats/urls");
  refused([](v1::NatsConfig& c) { c.set_user("me"); }, "/nats/password_file");
  refused([](v1::NatsConfig& c) { c.set_token_file("/nowhere"); }, "/nats/token_file");
  refused([](v1::NatsConfig& c) { c.set_credentials("/nowhere"); }, "/nats/credentials");
  refused([](v1::NatsConfig& c) { c.set_ca("/nowhere"); }, "/nats/ca");
  refused(
      [](v1::NatsConfig& c) {
        c.set_ca("/etc/ssl/certs/ca-certificates.crt"), c.set_certificate("/nowhere");
      },
      "/nats/key");
}

}  // namespace
}  // namespace cx::nats
