#include "runtime/nats/jetstream.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <map>
#include <mutex>
#include <set>

#include "tests/nats/nats_server.hpp"
#include "tests/nats/waiting.hpp"

namespace cx::nats {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::NatsCluster;
using test::NatsServer;

/// A connection and JetStream over it.
struct Client {
  explicit Client(const v1::NatsConfig& config, std::chrono::milliseconds timeout = 5s) {
    auto opened = Connection::open(config, "test");
    REQUIRE_MESSAGE(bool(opened), (opened ? "" : opened.error().detail));
    connection = std::move(*opened);
    jetstream = std::make_unique<JetStream>(*connection, timeout);
  }
  JetStream* operator->() const { return jetstream.get(); }

  std::unique_ptr<Connection> connection;
  std::unique_ptr<JetStream> jetstream;
};

void check_ok(const std::optional<Error>& error) {
  CHECK_MESSAGE(!error, (error ? error->detail : ""));
}

template <class T>
std::string type(const Result<T>& result) {
  return result ? "" : result.error().type;
}

TEST_CASE("a stream is made, found, and brought to what is asked for") {
  NatsServer server;
  Client client(server.config());
  CHECK(type(client->state("s")) == "stream-missing");
  CHECK(type(client->last("s", "a")) == "stream-missing");
  std::atomic<int> updates = 0;
  const auto advisories = client.connection->subscribe("$JS.EVENT.ADVISORY.STREAM.UPDATED.s", "",
                                                       [&](const Incoming&) { ++updates; });
  REQUIRE(advisories);
  StreamConfig config{.name = "s", .subjects = {"a.*"}};
  check_ok(client->ensure(config));
  check_ok(client->ensure(config));
  CHECK(client->publish("b", "", {}, std::nullopt).error().type == "unavailable");
  config.subjects = {"b"};
  config.max_age_hours = 1;
  config.max_per_subject = 2;
  check_ok(client->ensure(config));
  CHECK(eventually([&] { return updates > 0; }));
  check_ok(client->ensure(config));
  for (const auto* subject : {"a.1", "b", "b", "b"}) CHECK(client->publish(subject, "", {}, std::nullopt));
  CHECK(client->state("s")->messages == 3);
  CHECK(client->state("s", "b")->messages == 2);
  CHECK(client->state("s", ">")->messages == 3);
  CHECK(client->state("s", "none")->messages == 0);
  CHECK(updates == 1);  // what is as it should be is left alone
  config.work_queue = true;
  CHECK(client->ensure(config).value().type == "nats-failed");
  CHECK(client->ensure({.name = "too-many", .subjects = {"c"}, .replicas = 3}).has_value());
}

TEST_CASE("a condition holds or nothing is stored, and what is stored can be read, and purged but the last") {
  NatsServer server;
  Client client(server.config());
  check_ok(client->ensure({.name = "s", .subjects = {"a.*"}}));
  CHECK(type(client->last("s", "a.1")) == "not-found");
  CHECK(client->state("s")->first == 1);
  CHECK(client->state("s")->last == 0);
  const std::string bytes("\0\r\n\xff binary", 11);
  const auto first = client->publish("a.1", bytes, {{"Kind", "x: y"}}, 0);
  REQUIRE(first);
  CHECK(*first == 1);
  CHECK(type(client->publish("a.1", "", {}, 0)) == "wrong-last-sequence");
  CHECK(type(client->publish("a.1", "", {}, 7)) == "wrong-last-sequence");
  CHECK(*client->publish("a.2", "", {}, 0) == 2);
  CHECK(*client->publish("a.1", "two", {}, 1) == 3);
  CHECK(type(client->publish("a.1", "", {}, 2)) == "wrong-last-sequence");

  const auto got = client->get("s", 1);
  REQUIRE(got);
  CHECK(got->sequence == 1);
  CHECK(got->subject == "a.1");
  CHECK(got->payload == bytes);
  CHECK(got->at > 1'600'000'000'000);
  CHECK(std::ranges::find(got->headers, std::pair<std::string, std::string>("Kind", "x: y")) !=
        got->headers.end());
  CHECK(client->last("s", "a.1")->payload == "two");
  CHECK(client->next("s", "a.1", 1)->sequence == 1);
  CHECK(client->next("s", "a.1", 2)->sequence == 3);
  CHECK(type(client->next("s", "a.1", 4)) == "not-found");
  CHECK(type(client->get("s", 9)) == "not-found");
  CHECK(type(client->get("s", 0)) == "not-found");

  check_ok(client->purge("s", "a.1", 3));
  CHECK(client->state("s", "a.1")->messages == 1);
  CHECK(client->last("s", "a.1")->sequence == 3);
  CHECK(type(client->get("s", 1)) == "not-found");
  CHECK(*client->publish("a.1", "three", {}, 3) == 4);
  // An emptied subject forgets: this is why the last one is kept.
  check_ok(client->purge("s", "a.1", 0));
  CHECK(type(client->publish("a.1", "", {}, 4)) == "wrong-last-sequence");
  CHECK(client->publish("a.1", "", {}, 0));
}

TEST_CASE("messages up to the largest payload are stored and read back") {
  NatsServer server;
  Client client(server.config());
  check_ok(client->ensure({.name = "s", .subjects = {"a"}}));
  const Headers headers{{"Kind", "x"}};
  const std::string payload(client.connection->max_payload() - 200, 'p');
  REQUIRE(client->publish("a", payload, headers, 0));
  CHECK(client->last("s", "a")->payload == payload);
  std::atomic<std::size_t> size = 0;
  const auto follower = client->follow("s", "", 0, [&](Stored&& stored) { size = stored.payload.size(); });
  CHECK(eventually([&] { return size == payload.size(); }));
}

/// Several connections extend the same chains, each message on the condition of the one before it, with
/// several of each under way. Then the stream says whether exactly one won each time.
void contend(const v1::NatsConfig& config, std::uint32_t replicas, int rounds) {
  constexpr int kSubjects = 4, kWriters = 3;
  Client setup(config);
  check_ok(setup->ensure({.name = "s", .subjects = {"a.*"}, .replicas = replicas}));
  std::mutex mutex;
  std::map<std::uint64_t, std::string> won;  // by sequence: what its writer stored
  std::atomic<int> lost = 0, strange = 0;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w)
    writers.emplace_back([&, w] {
      Client client(config);
      for (int round = 0; round < rounds; ++round) {
        std::atomic<int> open = kSubjects;
        for (int s = 0; s < kSubjects; ++s) {
          const auto subject = "a." + std::to_string(s);
          const auto last = client->last("s", subject);
          const auto after = last ? last->sequence : 0;
          const auto payload = std::to_string(w) + '/' + std::to_string(round) + '/' + std::to_string(after);
          client->publish(subject, payload, {}, after, [&, payload](const Result<std::uint64_t>& stored) {
            if (stored) {
              std::lock_guard lock(mutex);
              won.emplace(*stored, payload);
            } else {
              ++(stored.error().type == "wrong-last-sequence" ? lost : strange);
            }
            --open;
          });
        }
        CHECK(eventually([&] { return open == 0; }));
      }
    });
  for (auto& writer : writers) writer.join();
  CHECK(strange == 0);
  CHECK(won.size() + lost == static_cast<std::size_t>(kSubjects * kWriters * rounds));
  CHECK(lost > 0);
  const auto last = setup->state("s");
  REQUIRE(last);
  CHECK(last->messages == won.size());
  std::map<std::string, std::uint64_t> chain;
  for (auto sequence = last->first; sequence <= last->last; ++sequence) {
    const auto stored = setup->get("s", sequence);
    REQUIRE(stored);
    CHECK(won[sequence] == stored->payload);
    CHECK(stored->payload.substr(stored->payload.rfind('/') + 1) == std::to_string(chain[stored->subject]));
    chain[stored->subject] = sequence;
  }
}

TEST_CASE("of those who extend a subject at once exactly one wins: one server") {
  NatsServer server;
  contend(server.config(), 1, 100);
}

TEST_CASE("of those who extend a subject at once exactly one wins: three servers") {
  NatsCluster cluster;
  contend(cluster.config(), 3, 60);
}

TEST_CASE("a message whose outcome is unknown may be stored after all, once") {
  NatsServer server;
  Client client(server.config(), 500ms);
  check_ok(client->ensure({.name = "s", .subjects = {"a"}}));
  REQUIRE(client->publish("a", "first", {}, 0));
  server.pause();
  const auto unknown = client->publish("a", "second", {}, 1);
  REQUIRE(!unknown);
  CHECK(unknown.error().type == "timeout");
  server.resume();
  // Storing it again on the same condition finds out.
  Result<std::uint64_t> again = Error{};
  CHECK(eventually([&] {
    again = client->publish("a", "second", {}, 1);
    return again || again.error().type == "wrong-last-sequence";
  }));
  CHECK(client->next("s", "a", 2)->payload == "second");
  CHECK(client->state("s")->messages == 2);
}

}  // namespace
}  // namespace cx::nats
