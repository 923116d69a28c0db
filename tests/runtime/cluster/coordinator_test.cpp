#include "runtime/cluster/coordinator.hpp"

#include <algorithm>
#include <atomic>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "runtime/address.hpp"
#include "runtime/nats/jetstream.hpp"
#include "tests/nats/nats_server.hpp"

namespace cx::cluster {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kLeaseMs = 1000;

/// Where all hosts of a test open shards; whatever is older than the newest epoch is refused.
struct Fence {
  std::mutex mutex;
  std::vector<std::uint64_t> epochs = std::vector<std::uint64_t>(kShards);
  std::vector<const void*> owners = std::vector<const void*>(kShards);
  int doubled = 0;  ///< shards that two hosts opened in one epoch
};

/// Opens and releases at once, on the caller's thread or another.
class FakeHost final : public ShardHost {
 public:
  explicit FakeHost(Fence& fence) : fence_(fence) {}

  void take(std::vector<ShardEpoch> shards) override {
    std::vector<ShardEpoch> lost;
    {
      std::scoped_lock lock(fence_.mutex, mutex_);
      for (const auto& [shard, epoch] : shards) {
        auto& newest = fence_.epochs[shard];
        if (epoch < newest) {
          lost.push_back({shard, newest});
          continue;
        }
        if (epoch == newest && fence_.owners[shard] != this) ++fence_.doubled;
        newest = epoch;
        fence_.owners[shard] = this;
        open_[shard] = epoch;
      }
    }
    for (const auto& shard : lost) lost_(shard);
  }
  void release(std::span<const std::uint32_t> shards, std::function<void(std::uint32_t)> released) override {
    for (const auto shard : shards) {
      {
        std::lock_guard lock(mutex_);
        open_.erase(shard);
      }
      released(shard);
    }
  }
  void drop(std::span<const std::uint32_t> shards) override {
    std::lock_guard lock(mutex_);
    for (const auto shard : shards) open_.erase(shard);
    ++drops;
  }
  void on_lost(std::function<void(ShardEpoch)> lost) override { lost_ = std::move(lost); }

  std::map<std::uint32_t, std::uint64_t> open() const {
    std::lock_guard lock(mutex_);
    return open_;
  }
  std::atomic<int> drops{0};

 private:
  Fence& fence_;
  mutable std::mutex mutex_;
  std::map<std::uint32_t, std::uint64_t> open_;
  std::function<void(ShardEpoch)> lost_;
};

struct Node {
  Node(const v1::NatsConfig& nats, Fence& fence, const std::string& name, std::uint32_t lease = kLeaseMs)
      : host(fence) {
    auto opened = nats::Connection::open(nats, name);
    REQUIRE(opened);
    connection = std::move(*opened);
    v1::Member member;
    member.set_node(name);
    member.set_host("127.0.0.1");
    member.set_port(4000);
    member.set_weight(100);
    member.set_version("0.1.0");
    member.set_lease_ms(lease);
    coordinator =
        std::make_unique<Coordinator>(Coordinator::Parts{*connection,
                                                         host,
                                                         system_environment(),
                                                         "test",
                                                         static_cast<std::uint32_t>(nats.replicas()),
                                                         member,
                                                         {}});
  }
  void join() {
    const auto error = coordinator->join();
    REQUIRE_MESSAGE(!error, (error ? error->detail : std::string()));
  }

  FakeHost host;
  std::unique_ptr<nats::Connection> connection;
  std::unique_ptr<Coordinator> coordinator;
};

template <class Condition>
bool eventually(Condition condition, std::chrono::seconds patience = 60s) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return condition();
}

using Nodes = std::vector<std::unique_ptr<Node>>;

/// Whether each shard is open at one of the nodes, all agree that it is that one's, and nothing moves.
bool settled(const Nodes& nodes, std::size_t owners) {
  std::map<std::uint32_t, std::uint64_t> all;
  std::size_t busy = 0;
  TopologyPtr last;
  for (const auto& node : nodes) {
    if (!node) continue;
    const auto open = node->host.open();
    busy += !open.empty();
    const auto topology = node->coordinator->topology();
    if (!topology || !node->coordinator->plan().empty() ||
        (last && last->placement.version() != topology->placement.version()))
      return false;
    last = topology;
    for (const auto& [shard, epoch] : open) {
      const auto& place = topology->placement.shards(static_cast<int>(shard));
      if (place.owner() != topology->self || place.epoch() != epoch || !place.next().empty()) return false;
      if (!all.emplace(shard, epoch).second) return false;
    }
  }
  return all.size() == kShards && busy == owners;
}

Nodes three(const v1::NatsConfig& nats, Fence& fence) {
  Nodes nodes;
  for (const char* name : {"n1", "n2", "n3"}) {
    nodes.push_back(std::make_unique<Node>(nats, fence, name));
    nodes.back()->join();
  }
  return nodes;
}

std::string incarnation(const Node& node) {
  return node.coordinator->topology()->self;
}

TEST_CASE(
    "three nodes share the shards; when one is killed, the others have all; when it is back, it gets its "
    "part") {
  test::NatsServer server;
  Fence fence;
  auto nodes = three(server.config(), fence);
  REQUIRE(eventually([&] { return settled(nodes, 3); }));
  for (const auto& node : nodes) CHECK(node->host.open().size() > 200);
  const auto before = nodes[1]->host.open();

  const auto killed = std::chrono::steady_clock::now();
  nodes[1]->coordinator.reset();  // its thread stops, nobody is told
  nodes[1].reset();
  REQUIRE(eventually([&] { return settled(nodes, 2); }));
  MESSAGE("all shards were open again " << (std::chrono::steady_clock::now() - killed) / 1ms
                                        << " ms after one of three nodes "
                                        << "was killed, with a lease of " << kLeaseMs << " ms");

  nodes[1] = std::make_unique<Node>(server.config(), fence, "n2");
  nodes[1]->join();
  REQUIRE(eventually([&] { return settled(nodes, 3); }));
  const auto after = nodes[1]->host.open();
  CHECK(after.size() == before.size());
  for (const auto& [shard, _] : before) CHECK(after.contains(shard));
  CHECK(fence.doubled == 0);
}

TEST_CASE(
    "a drained node gives its shards away, also after it has come back, and gets them again when it is "
    "undrained") {
  test::NatsServer server;
  Fence fence;
  auto nodes = three(server.config(), fence);
  REQUIRE(eventually([&] { return settled(nodes, 3); }));
  const auto start = std::chrono::steady_clock::now();
  const auto error = nodes[0]->coordinator->drain("n3");
  CHECK_FALSE(error);
  REQUIRE(eventually([&] { return settled(nodes, 2) && nodes[2]->host.open().empty(); }));
  MESSAGE("a third of the shards moved in " << (std::chrono::steady_clock::now() - start) / 1ms << " ms");
  CHECK(nodes[1]->coordinator->plan().empty());
  CHECK(nodes[2]->host.drops == 0);

  nodes[2]->coordinator->leave(10s);
  nodes[2] = std::make_unique<Node>(server.config(), fence, "n3");
  nodes[2]->join();
  CHECK(nodes[2]->coordinator->topology()->placement.drained_size() == 1);
  CHECK(nodes[2]->host.open().empty());
  CHECK_FALSE(nodes[1]->coordinator->undrain("n3"));
  REQUIRE(eventually([&] { return settled(nodes, 3); }));

  const auto unknown = nodes[1]->coordinator->drain("n9");
  REQUIRE(unknown);
  CHECK(unknown->type == "unknown-node");
  CHECK(fence.doubled == 0);
}

TEST_CASE("whoever leaves has given its shards away before") {
  test::NatsServer server;
  Fence fence;
  auto nodes = three(server.config(), fence);
  REQUIRE(eventually([&] { return settled(nodes, 3); }));
  nodes[0]->coordinator->leave(20s);
  CHECK(nodes[0]->host.open().empty());
  CHECK(nodes[0]->host.drops == 0);
  nodes[0].reset();
  REQUIRE(eventually([&] { return settled(nodes, 2); }));
  nodes[1]->coordinator->leave(20s);
  nodes[1].reset();
  REQUIRE(eventually([&] { return settled(nodes, 1); }));
  nodes[2]->coordinator->leave(20s);  // to nobody
  CHECK(nodes[2]->host.open().empty());
  CHECK(nodes[2]->host.drops == 0);
  CHECK(fence.doubled == 0);
}

TEST_CASE("a name that somebody has is refused, and free when its owner has been silent for long enough") {
  test::NatsServer server;
  Fence fence;
  Nodes nodes;
  nodes.push_back(std::make_unique<Node>(server.config(), fence, "n1"));
  nodes[0]->join();
  Node twin(server.config(), fence, "n1");
  const auto error = twin.coordinator->join();
  REQUIRE(error);
  CHECK(error->type == "duplicate-node");
  CHECK(error->detail.find(incarnation(*nodes[0])) != std::string::npos);
  CHECK(nodes[0]->host.open().size() == kShards);

  nodes[0]->coordinator.reset();
  Node heir(server.config(), fence, "n1");
  heir.join();
  CHECK(eventually([&] { return heir.host.open().size() == kShards; }));
  for (const auto& [_, epoch] : heir.host.open()) CHECK(epoch == 2);
}

TEST_CASE(
    "NATS that restarts, or is paused for longer than the leases: shards stop meanwhile and come back as "
    "they were") {
  test::NatsServer server;
  Fence fence;
  auto nodes = three(server.config(), fence);
  REQUIRE(eventually([&] { return settled(nodes, 3); }));
  std::set<std::string> incarnations;
  for (const auto& node : nodes) incarnations.insert(incarnation(*node));
  const auto same = [&] {
    for (const auto& node : nodes) {
      if (!incarnations.contains(incarnation(*node))) return false;
    }
    return true;
  };

  server.stop();
  server.start();
  REQUIRE(eventually([&] { return settled(nodes, 3); }));
  CHECK(same());

  server.pause();
  CHECK(eventually([&] {
    return std::all_of(nodes.begin(), nodes.end(),
                       [](const auto& node) { return node->host.open().empty(); });
  }));
  CHECK(eventually([&] {
    return std::none_of(nodes.begin(), nodes.end(), [](const auto& node) {
      return node->coordinator->topology()->members.contains(incarnation(*node));
    });
  }));
  const auto refused = nodes[0]->coordinator->drain("n2");
  REQUIRE(refused);
  CHECK(refused->type == "not-a-member");
  server.resume();
  REQUIRE(eventually([&] { return settled(nodes, 3); }));
  CHECK(same());
  CHECK(fence.doubled == 0);
}

TEST_CASE("a node that is cut off loses its shards to others, and comes back as another") {
  test::NatsCluster servers(3);
  Fence fence;
  auto nodes = three(servers.config(), fence);
  REQUIRE(eventually([&] { return settled(nodes, 3); }));

  // Declared dead by hand, as if the others had not heard of it: by a write of the same kind.
  auto opened = nats::Connection::open(servers.config(), "by-hand");
  REQUIRE(opened);
  nats::JetStream jetstream(**opened, 2000ms);
  const auto victim = incarnation(*nodes[2]);
  for (bool done = false; !done;) {
    const std::string key = "$KV.test_members.member." + victim;
    const auto found = jetstream.last("KV_test_members", key);
    if (!found) continue;
    v1::Member member;
    REQUIRE(member.ParseFromString(found->payload));
    member.set_status(v1::Member::STATUS_LEFT);
    member.set_ended_by("by-hand");
    done = static_cast<bool>(jetstream.publish(key, member.SerializeAsString(), {}, found->sequence));
  }
  REQUIRE(eventually([&] { return incarnation(*nodes[2]) != victim && settled(nodes, 3); }));
  CHECK(nodes[2]->host.drops > 0);

  // And the leader of the bucket dies.
  const auto leader = servers.leader(**opened, "KV_test_members");
  REQUIRE(leader);
  servers[*leader].kill();
  CHECK(eventually([&] { return settled(nodes, 3); }));
  servers[*leader].start();
  servers.wait_ready();
  CHECK(eventually([&] { return settled(nodes, 3); }));
  CHECK(fence.doubled == 0);
}

TEST_CASE("a shard whose journal is ahead of the table is opened above it") {
  test::NatsServer server;
  Fence fence;
  fence.epochs[7] = 40;
  Nodes nodes;
  nodes.push_back(std::make_unique<Node>(server.config(), fence, "n1"));
  nodes[0]->join();
  CHECK(eventually([&] { return settled(nodes, 1); }));
  CHECK(nodes[0]->host.open()[7] == 41);
}

}  // namespace
}  // namespace cx::cluster
