#include "gateways/nats/publisher.hpp"

#include <doctest/doctest.h>
#include <set>
#include <thread>

#include "cx/v1/customer.pb.h"
#include "runtime/random.hpp"
#include "tests/nats/nats_server.hpp"
#include "tests/runtime/projection/log.hpp"

namespace cx::test {
namespace {

using namespace std::chrono_literals;
using nats_gateway::EventStreamOptions;
using nats_gateway::Publisher;

NatsServer& server() {
  static NatsServer one;
  return one;
}

std::string new_prefix() {
  static int made = 0;
  return "p" + std::to_string(++made);
}

/// Tells an entry for each event, whose bytes are its name; nothing of "quiet".
Result<std::vector<Announcement>> announce(const v1::JournalRecord& record) {
  std::vector<Announcement> out;
  for (int i = 0; i < record.events_size(); ++i) {
    if (record.events(i) == "quiet") continue;
    auto entry = std::make_shared<v1::TimelineEntry>();
    entry->set_type("track");
    entry->set_name(record.events(i));
    out.push_back({static_cast<std::uint32_t>(i), "track", 1'772'323'200'123, std::move(entry)});
  }
  return out;
}

/// A node with a connection of its own, on a log that may be others', too.
struct Node {
  Node(
      Log& l, const std::string& prefix, const v1::NatsConfig& config,
      std::function<bool(std::uint32_t)> is_mine = [](auto) { return true; })
      : log(l) {
    auto opened = nats::Connection::open(config, "test");
    REQUIRE(opened);
    connection = std::move(*opened);
    jetstream = std::make_unique<nats::JetStream>(*connection, 500ms);
    EventStreamOptions options;
    options.prefix = prefix;
    options.replicas = config.replicas();
    publisher = std::make_unique<Publisher>(*jetstream, options,
                                            Publisher::Kinds{{"customer", announce}, {"journey", announce}},
                                            std::move(is_mine));
    projector = log.projector(*publisher);
  }
  Node(
      Log& l, const std::string& prefix,
      std::function<bool(std::uint32_t)> is_mine = [](auto) { return true; })
      : Node(l, prefix, server().config(), std::move(is_mine)) {}
  void poll() {
    log.environment.set_clock().advance(61'000);  // whatever waits
    projector->poll();
    log.executor.run();
  }
  std::uint64_t lag() const { return projector->status().front().lag_records; }

  Log& log;
  std::unique_ptr<nats::Connection> connection;
  std::unique_ptr<nats::JetStream> jetstream;
  std::unique_ptr<Publisher> publisher;
  std::unique_ptr<Projector> projector;
};

std::string header(const nats::Stored& message, std::string_view name) {
  for (const auto& [key, value] : message.headers)
    if (key == name) return value;
  return "";
}

std::vector<nats::Stored> published(Node& node, const std::string& prefix) {
  std::vector<nats::Stored> out;
  const auto state = node.jetstream->state(prefix + "_events");
  REQUIRE(state);
  for (auto n = state->first; n <= state->last; ++n) {
    auto message = node.jetstream->get(prefix + "_events", n);
    REQUIRE(message);
    out.push_back(std::move(*message));
  }
  return out;
}

/// The names that were told, by entity, in order; none twice.
std::map<std::string, std::vector<std::string>> told(Node& node, const std::string& prefix) {
  std::map<std::string, std::vector<std::string>> out;
  std::set<std::string> ids;
  for (const auto& message : published(node, prefix)) {
    CHECK(ids.insert(header(message, "ce-id")).second);
    const auto from = message.payload.find("\"name\":\"") + 8;
    out[header(message, "ce-subject")].push_back(
        message.payload.substr(from, message.payload.find('"', from) - from));
  }
  return out;
}

/// Customers to whom things happen, and what.
struct Story {
  void happen(Log& log, int records) {
    for (int i = 0; i < records; ++i) {
      const auto id = "c-" + std::to_string(random.below(15));
      std::vector<std::string> events;
      for (auto n = random.below(4); n-- > 0;) {
        events.push_back(random.below(5) == 0 ? "quiet" : "e" + std::to_string(++number));
        if (events.back() != "quiet") expected[id].push_back(events.back());
      }
      log.append("customer/acme/" + id, events);
    }
  }
  Random random{7};
  int number = 0;
  std::map<std::string, std::vector<std::string>> expected;
};

}  // namespace

TEST_CASE("an event is published as a CloudEvent, with what the contract calls it") {
  Log log;
  const auto prefix = new_prefix();
  Node node(log, prefix);
  log.append("customer/acme/c \"1\"%\u00e4", {"quiet", "Order \"Completed\""});
  log.append("journey/acme/welcome@k:c-1", {"in"});
  log.append("other/acme/c-1", {"in"});
  node.poll();
  const auto all = published(node, prefix);
  REQUIRE(all.size() == 2);
  const auto shard = shard_of("acme", "c \"1\"%\u00e4");
  const auto& one = all[header(all[0], "ce-type") == "cx.customer.track" ? 0 : 1];
  const auto& two = all[header(all[0], "ce-type") == "cx.customer.track" ? 1 : 0];
  CHECK(one.subject == prefix + ".events.acme.customer.track");
  CHECK(header(one, "ce-specversion") == "1.0");
  CHECK(header(one, "ce-id") == std::to_string(shard) + "-1-1");
  CHECK(header(one, "Nats-Msg-Id") == header(one, "ce-id"));
  CHECK(header(one, "ce-source") == "/" + prefix + "/acme");
  CHECK(header(one, "ce-subject") == "c%20%221%22%25%C3%A4");
  CHECK(header(one, "ce-time") == "2026-03-01T00:00:00.123Z");
  CHECK(header(one, "content-type") == "application/json");
  CHECK(one.payload == R"({"number":"0","type":"track","name":"Order \"Completed\"","id":"","source":""})");
  CHECK(two.subject == prefix + ".events.acme.journey.track");
  CHECK(header(two, "ce-type") == "cx.journey.track");
  CHECK(header(two, "ce-subject") == "welcome@k:c-1");
}

TEST_CASE("everything is told once and in order, through restarts that forget how far it was") {
  Log log;
  Story story;
  const auto prefix = new_prefix();
  for (int round = 0; round < 5; ++round) {
    Node node(log, prefix);
    story.happen(log, 60);
    node.poll();  // cursors are written by the next one, which does not come
    CHECK(node.lag() == 0);
    CHECK(told(node, prefix) == story.expected);
  }
  Node node(log, prefix);
  node.poll();
  node.poll();
  const auto before = node.jetstream->state(prefix + "_published");
  REQUIRE(before);
  CHECK(before->messages > 1);
  for (std::uint32_t shard = 0; shard < kShards; ++shard)
    CHECK(node.projector->retain_after(shard) == log.heads[shard].last);
  Node next(log, prefix);
  next.poll();
  CHECK(next.projector->status().front().projected == 0);  // goes on where it was
  CHECK(told(node, prefix) == story.expected);
}

TEST_CASE("what happens while NATS is away is told when it is back") {
  Log log;
  Story story;
  const auto prefix = new_prefix();
  Node node(log, prefix);
  story.happen(log, 30);
  node.poll();
  for (int round = 0; round < 3; ++round) {
    round == 2 ? server().pause() : server().kill();
    std::this_thread::sleep_for(100ms);
    story.happen(log, 30);
    node.poll();
    CHECK(node.lag() > 0);
    CHECK(node.projector->status().front().state == "failing");
    round == 2 ? server().resume() : server().start();
    for (int i = 0; i < 600 && (node.lag() > 0 || node.projector->status().front().error); ++i) {
      node.poll();
      std::this_thread::sleep_for(50ms);
    }
    CHECK(told(node, prefix) == story.expected);
  }
}

TEST_CASE("of three servers any one may go, and everything is told once and in order") {
  NatsCluster servers;
  Log log;
  Story story;
  const auto prefix = new_prefix();
  Node node(log, prefix, servers.config());
  story.happen(log, 30);
  node.poll();
  const auto leader = servers.leader(*node.connection, prefix + "_events");
  REQUIRE(leader);
  std::thread killer([&] { servers[*leader].kill(); });
  for (int i = 0; i < 600 && (i < 30 || node.lag() > 0 || node.projector->status().front().error); ++i) {
    if (i < 30) story.happen(log, 3);
    node.poll();
    std::this_thread::sleep_for(20ms);
  }
  killer.join();
  servers[*leader].start();
  servers.wait_ready();
  CHECK(node.lag() == 0);
  CHECK(told(node, prefix) == story.expected);
}

TEST_CASE("each node tells of its shards, and who gets a shard goes on where the one before was") {
  Log log;
  Story story;
  const auto prefix = new_prefix();
  std::uint32_t moved = 0;  // shards below it are the second's
  Node one(log, prefix, [&](std::uint32_t shard) { return shard >= moved; });
  Node two(log, prefix, [&](std::uint32_t shard) { return shard < moved; });
  for (const std::uint32_t next : {0U, 300U, 1024U, 500U, 0U, 1024U}) {
    story.happen(log, 40);
    one.poll();
    two.poll();
    moved = next;
    story.happen(log, 40);
    for (int i = 0; i < 3; ++i) {
      two.poll();
      one.poll();
    }
    CHECK(one.lag() == 0);
    CHECK(two.lag() == 0);
    CHECK(told(one, prefix) == story.expected);
  }
  CHECK(two.projector->status().front().projected > 0);
}

TEST_CASE("a rebuild tells everything again, which the stream drops while it remembers") {
  Log log;
  Story story;
  const auto prefix = new_prefix();
  Node node(log, prefix);
  story.happen(log, 50);
  node.poll();
  node.poll();
  const auto once = node.projector->status().front().projected;
  REQUIRE(!node.projector->rebuild("events-to-nats"));
  for (int i = 0; i < 3; ++i) node.poll();
  CHECK(node.projector->status().front().projected == 2 * once);
  CHECK(told(node, prefix) == story.expected);
}

TEST_CASE("an event that no server takes stops its shard and is named; the others go on") {
  Log log;
  const auto prefix = new_prefix();
  Node node(log, prefix);
  log.append("customer/acme/c-1", {std::string(2'000'000, 'x')});
  log.append("customer/acme/c-2", {"fine"});
  for (int i = 0; i < 5; ++i) node.poll();
  const auto status = node.projector->status().front();
  REQUIRE(status.stuck.size() == 1);
  CHECK(status.stuck.front().error.type == "event-too-large");
  CHECK(published(node, prefix).size() == 1);
}

}  // namespace cx::test
