#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <map>
#include <mutex>
#include <utility>

#include "runtime/nats/jetstream.hpp"
#include "tests/nats/nats_server.hpp"
#include "tests/nats/waiting.hpp"

namespace cx::nats {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::NatsCluster;
using test::NatsServer;

std::unique_ptr<Connection> open(const v1::NatsConfig& config) {
  auto connection = Connection::open(config, "test");
  REQUIRE_MESSAGE(bool(connection), (connection ? "" : connection.error().detail));
  return std::move(*connection);
}

/// What a follower was given; checks the order as it comes.
struct Followed {
  std::mutex mutex;
  std::map<std::uint64_t, std::string> messages;
  std::atomic<std::uint64_t> last = 0;
  std::atomic<bool> ordered = true;
  std::atomic<int> caught_up = 0;

  std::unique_ptr<Follower> start(JetStream& jetstream, std::uint64_t from = 0,
                                  const std::string& subject = "") {
    return jetstream.follow(
        "s", subject, from,
        [this](Stored&& stored) {
          if (stored.sequence <= last) ordered = false;
          std::lock_guard lock(mutex);
          messages.emplace(stored.sequence, stored.subject + ' ' + stored.payload);
          last = stored.sequence;
        },
        [this] { ++caught_up; });
  }
};

TEST_CASE("a follower gets what is there, in order, from where it is told, and then what comes") {
  NatsServer server;
  const auto connection = open(server.config());
  JetStream jetstream(*connection, 5s);
  std::atomic<int> consumers = 0;
  const auto advisories = connection->subscribe("$JS.EVENT.ADVISORY.CONSUMER.CREATED.s.*", "",
                                                [&](const Incoming&) { ++consumers; });
  REQUIRE(advisories);
  Followed early;
  const auto before = early.start(jetstream);  // waits for the stream, too
  REQUIRE(!jetstream.ensure({.name = "s", .subjects = {"a.*"}}));
  CHECK(eventually([&] { return early.caught_up > 0; }));
  constexpr std::uint64_t kMany = 5'000;
  std::atomic<std::uint64_t> stored = 0;
  for (std::uint64_t i = 1; i <= kMany; ++i)
    jetstream.publish("a." + std::to_string(i % 3), std::to_string(i), {{"Number", std::to_string(i)}},
                      std::nullopt,
                      [&](const Result<std::uint64_t>& sequence) { stored += sequence ? 1 : 0; });
  CHECK(eventually([&] { return stored == kMany && early.last == kMany; }));
  CHECK(early.messages.size() == kMany);
  CHECK(early.messages[4711] == "a.1 4711");

  Followed late, ahead, filtered;
  const auto from_4000 = late.start(jetstream, 4000);
  const auto from_ahead = ahead.start(jetstream, kMany + 3);
  const auto only_one = filtered.start(jetstream, 0, "a.1");
  CHECK(eventually([&] { return late.caught_up > 0 && ahead.caught_up > 0 && filtered.caught_up > 0; }));
  CHECK(late.messages.size() == 1001);
  CHECK(late.messages.begin()->first == 4000);
  CHECK(ahead.messages.empty());
  CHECK(filtered.messages.size() == 1667);
  for (int i = 0; i < 4; ++i) REQUIRE(jetstream.publish("a.1", "more", {}, std::nullopt));
  CHECK(eventually(
      [&] { return late.last == kMany + 4 && ahead.last == kMany + 4 && filtered.last == kMany + 4; }));
  CHECK(ahead.messages.begin()->first == kMany + 3);
  CHECK(filtered.messages.size() == 1671);
  // Purged messages are no gap.
  REQUIRE(!jetstream.purge("s", "a.2", kMany));
  Followed rest;
  const auto rested = rest.start(jetstream);
  CHECK(eventually([&] { return rest.caught_up > 0; }));
  CHECK(rest.messages.size() == jetstream.state("s")->messages);
  for (const auto* each : {&early, &late, &ahead, &filtered, &rest}) CHECK(each->ordered);
  // One each, and not one for each thousand messages; a busy machine may cost some.
  CHECK(consumers >= 5);
  CHECK(consumers < 9);
}

/// Publishes until told to stop, and remembers what was acknowledged.
struct Publisher {
  Publisher(const v1::NatsConfig& config, int id)
      : connection(open(config)), thread([this, id] { run(id); }) {}
  ~Publisher() { stop(); }

  void stop() {
    stopping = true;
    if (thread.joinable()) thread.join();
  }

  void run(int id) {
    JetStream jetstream(*connection, 2s);
    for (int i = 0; !stopping; ++i) {
      const auto payload = std::to_string(id) + '/' + std::to_string(i);
      const auto sequence = jetstream.publish("a." + std::to_string(id), payload, {}, std::nullopt);
      if (!sequence) {
        std::this_thread::sleep_for(20ms);
        continue;
      }
      std::lock_guard lock(mutex);
      acknowledged.emplace(*sequence, "a." + std::to_string(id) + ' ' + payload);
      ++count;
    }
  }

  std::unique_ptr<Connection> connection;
  std::mutex mutex;
  std::map<std::uint64_t, std::string> acknowledged;
  std::atomic<int> count = 0;
  std::atomic<bool> stopping = false;
  std::thread thread;
};

/// The follower has been given all messages of the stream, in order.
void check_all(JetStream& jetstream, Followed& followed,
               std::vector<std::unique_ptr<Publisher>>& publishers) {
  for (auto& publisher : publishers) publisher->stop();
  Result<StreamState> state = Error{};
  CHECK(eventually([&] { return bool(state = jetstream.state("s")); }));
  CHECK(eventually([&] { return followed.last >= state->last; }));
  CHECK(followed.ordered);
  std::lock_guard lock(followed.mutex);
  CHECK(followed.messages.size() == state->messages);
}

TEST_CASE("a follower makes another consumer where its own is well and gives out nothing") {
  NatsServer server;
  if (server.version() < std::pair(2, 11)) return;  // older ones cannot pause a consumer
  const auto connection = open(server.config());
  JetStream jetstream(*connection, 5s);
  std::mutex mutex;
  std::string consumer;
  const auto advisories =
      connection->subscribe("$JS.EVENT.ADVISORY.CONSUMER.CREATED.s.*", "", [&](const Incoming& advisory) {
        const std::lock_guard lock(mutex);
        consumer = advisory.subject.substr(advisory.subject.rfind('.') + 1);
      });
  REQUIRE(advisories);
  REQUIRE(!jetstream.ensure({.name = "s", .subjects = {"a.*"}}));
  Followed followed;
  const auto follower = followed.start(jetstream);
  REQUIRE(jetstream.publish("a.1", "one", {}, std::nullopt));
  REQUIRE(eventually([&] { return followed.last == 1; }));
  const auto name = [&] {
    const std::lock_guard lock(mutex);
    return consumer;
  }();
  const auto answer = connection->request("$JS.API.CONSUMER.PAUSE.s." + name,
                                          R"({"pause_until":"2099-01-01T00:00:00Z"})", {}, 5s);
  REQUIRE(answer);
  REQUIRE_MESSAGE(answer->payload.find(R"("paused":true)") != std::string::npos, answer->payload);
  REQUIRE(jetstream.publish("a.1", "two", {}, std::nullopt));
  CHECK(eventually([&] { return followed.last == 2; }));
  CHECK(followed.ordered);
}

TEST_CASE("a follower misses nothing when the server restarts under load") {
  NatsServer server;
  const auto connection = open(server.config());
  JetStream jetstream(*connection, 2s);
  REQUIRE(!jetstream.ensure({.name = "s", .subjects = {"a.*"}}));
  Followed followed;
  const auto follower = followed.start(jetstream);
  std::vector<std::unique_ptr<Publisher>> publishers;
  for (int i = 0; i < 3; ++i) publishers.push_back(std::make_unique<Publisher>(server.config(), i));
  for (int round = 0; round < 3; ++round) {
    const int before = publishers[0]->count;
    CHECK(eventually([&] { return publishers[0]->count > before + 50; }));
    round == 0 ? server.stop() : server.kill();
    server.start();
  }
  const int before = publishers[0]->count;
  CHECK(eventually([&] { return publishers[0]->count > before + 50; }));
  check_all(jetstream, followed, publishers);
  for (auto& publisher : publishers)
    for (const auto& [sequence, text] : publisher->acknowledged) CHECK(followed.messages[sequence] == text);
}

/// Three servers with a stream on each, a follower of it, and some who publish while its leaders are harmed.
struct Harmed {
  Harmed() {
    REQUIRE(!jetstream.ensure({.name = "s", .subjects = {"a.*"}, .replicas = 3}));
    follower = followed.start(jetstream);
    for (int i = 0; i < 2; ++i) publishers.push_back(std::make_unique<Publisher>(cluster.config(), i));
    for (int round = 0; round < 3; ++round) {
      CHECK(some());
      std::optional<std::size_t> leader;
      CHECK(eventually([&] { return (leader = cluster.leader(*connection, "s")).has_value(); }));
      REQUIRE(leader);
      auto& server = cluster[*leader];
      if (round < 2) {
        server.kill();
        CHECK(some());  // two of three go on
        server.start();
      } else {
        server.pause();
        CHECK(some());
        server.resume();
      }
    }
    CHECK(some());
    check_all(jetstream, followed, publishers);
  }

  bool some() {
    const int before = publishers[0]->count;
    return eventually([&] { return publishers[0]->count > before + 30; });
  }

  NatsCluster cluster;
  std::unique_ptr<Connection> connection = open(cluster.config());
  JetStream jetstream{*connection, 2s};
  Followed followed;
  std::unique_ptr<Follower> follower;
  std::vector<std::unique_ptr<Publisher>> publishers;
};

/// What the copies of a stream made of what was published.
struct Verdict {
  std::size_t readings = 0;  ///< that differ from another
  int moved = 0, lost = 0;   ///< acknowledged messages that a reading has at another number, or not at all
  bool good() const { return readings == 0 && moved == 0 && lost == 0; }
};

Verdict compare(Harmed& harmed) {
  using Messages = std::map<std::uint64_t, std::string>;
  std::vector<Messages> seen{harmed.followed.messages};
  // Each follower reads any one copy: so many read each of the three, almost surely.
  for (int i = 0; i < 12; ++i) {
    Followed followed;
    const auto follower = followed.start(harmed.jetstream);
    CHECK(eventually([&] { return followed.last >= harmed.followed.last; }));
    std::lock_guard lock(followed.mutex);
    if (std::ranges::find(seen, followed.messages) == seen.end()) seen.push_back(followed.messages);
  }
  Verdict verdict{.readings = seen.size() - 1};
  for (const auto& messages : seen)
    for (const auto& publisher : harmed.publishers)
      for (const auto& [sequence, text] : publisher->acknowledged) {
        const auto found = messages.find(sequence);
        if (found != messages.end() && found->second == text) continue;
        const bool there =
            std::ranges::any_of(messages, [&text = text](const auto& one) { return one.second == text; });
        ++(there ? verdict.moved : verdict.lost);
      }
  return verdict;
}

TEST_CASE("a follower misses nothing when servers of three die or stand still under load") {
  Harmed harmed;
  // Copies of Debian's server disagree about which message has which number (README.md).
  if (harmed.cluster[0].version() >= std::pair(2, 15)) {
    const auto verdict = compare(harmed);
    CHECK(verdict.readings == 0);
    CHECK(verdict.moved == 0);
    CHECK(verdict.lost == 0);
  }
}

// By hand, the server by CX_NATS_SERVER: CX_ROUNDS=20 nats -ns -tc="numbers*"
TEST_CASE("numbers: how often copies of a stream disagree after all that" * doctest::skip()) {
  const char* named = std::getenv("CX_ROUNDS");
  const int rounds = named ? std::atoi(named) : 1;
  int bad = 0;
  for (int round = 1; round <= rounds; ++round) {
    Harmed harmed;
    const auto verdict = compare(harmed);
    bad += verdict.good() ? 0 : 1;
    std::printf("numbers: round %d: of %zu messages %d at another number, %d lost; %zu readings differ\n",
                round, harmed.followed.messages.size(), verdict.moved, verdict.lost, verdict.readings);
    std::fflush(stdout);
  }
  std::printf("numbers: %d of %d rounds bad\n", bad, rounds);
}

}  // namespace
}  // namespace cx::nats
