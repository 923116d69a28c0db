#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <future>
#include <mutex>
#include <thread>

#include "runtime/cluster/forwarder.hpp"
#include "runtime/entity/entities.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/system.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/kinds/commands.hpp"
#include "tests/kinds/kinds.hpp"
#include "tests/runtime/cluster/topologies.hpp"
#include "tests/virtual_time.hpp"

// Real entities behind real links; the nodes of one process share a journal, as if it were in the network.

namespace cx::test {
namespace {

using namespace std::chrono_literals;

HostOptions clustered() {
  HostOptions options;
  options.clustered = true;
  return options;
}

v1::ClusterConfig loopback() {
  v1::ClusterConfig config;
  config.set_enabled(true);
  config.set_name("test");
  config.set_host("127.0.0.1");
  config.set_peer_credit(4096);
  config.set_patience_ms(20'000);
  return config;
}

struct RealNode {
  RealNode(FaultEnvironment& environment, Journal& journal, std::string n)
      : name(std::move(n)),
        entities({system, environment, kinds, journal, commits, reads, metrics, name, 2}, clustered(), true,
                 2),
        forwarder(std::in_place,
                  cluster::Forwarder::Parts{system,
                                            [this](Request request, Respond respond) {
                                              entities.ask(std::move(request), std::move(respond));
                                            },
                                            kinds, clock, metrics, loopback(), "node-" + name, "1"}) {
    entities.set_elsewhere(forwarder->actor());
    REQUIRE_FALSE(entities.start());
    const auto listening = forwarder->listen();
    REQUIRE(listening);
    port = *listening;
  }
  ~RealNode() {
    forwarder->stop();
    entities.stop();
  }

  std::future<Answer> ask(const std::string& to, MessagePtr command) {
    auto answer = std::make_shared<std::promise<Answer>>();
    auto future = answer->get_future();
    auto request = entities.request(to, std::move(command));
    REQUIRE(request);
    entities.ask(std::move(*request), [answer](Answer a) { answer->set_value(std::move(a)); });
    return future;
  }

  const std::string name;
  Metrics metrics{"node"};
  SystemConfig config{VirtualTime::Config::limits(), loopback()};
  caf::actor_system system{config};
  SystemClock clock;
  Kinds kinds = all_kinds();
  ThreadPool commits{2}, reads{1};
  Entities entities;
  std::optional<cluster::Forwarder> forwarder;
  std::uint16_t port = 0;
};

}  // namespace

TEST_CASE(
    "shards of real entities move from node to node under load, and no command fails or is done twice") {
  FaultEnvironment environment;
  auto journal = RocksJournal::open("/data", environment);
  REQUIRE(journal);
  RealNode a(environment, **journal, "a"), b(environment, **journal, "b");
  const std::vector<RealNode*> nodes{&a, &b};
  const std::map<std::string, std::uint16_t> ports{{"a", a.port}, {"b", b.port}};

  std::uint64_t version = 0;
  std::vector<std::string> owners(kShards, "a");
  std::vector<std::uint64_t> epochs(kShards, 1);
  const auto tell = [&](RealNode& node) {
    auto made = std::make_shared<cluster::Topology>(*topology_at(node.name, version, ports, owners));
    for (std::uint32_t shard = 0; shard < kShards; ++shard)
      made->placement.mutable_shards(static_cast<int>(shard))->set_epoch(epochs[shard]);
    node.forwarder->update(made);
  };
  std::vector<ShardEpoch> all;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) all.push_back({shard, 1});
  a.entities.take(all);
  ++version;
  for (auto* node : nodes) tell(*node);

  std::atomic<bool> stop{false};
  std::atomic<int> failures{0}, done{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    while (!stop) {
      std::this_thread::sleep_for(1ms);
      environment.set_clock().advance(1);
    }
  });
  for (auto* node : nodes)
    threads.emplace_back([&, node] {
      for (int i = 0; !stop; ++i) {
        std::vector<std::future<Answer>> some;
        for (int j = 0; j < 30; ++j)
          some.push_back(
              node->ask(fmt::format("counter/t/{}", (i + j) % 60), std::make_shared<Add>(make_add(1))));
        for (auto& one : some) {
          const auto answer = one.get();
          if (!answer) ++failures;
          if (!answer) MESSAGE(answer.error().type, ": ", answer.error().detail);
          ++done;
        }
      }
    });

  for (int round = 0; round < 8; ++round) {
    auto& from = *nodes[round % 2];
    auto& to = *nodes[(round + 1) % 2];
    std::vector<std::uint32_t> moving;
    for (int key = 0; key < 60; ++key)
      if (const auto shard = shard_of("t", std::to_string(key));
          owners[shard] == from.name && key % 5 != round % 5)
        moving.push_back(shard);
    auto released = std::make_shared<std::promise<void>>();
    auto left = std::make_shared<std::atomic<std::size_t>>(moving.size());
    if (moving.empty()) continue;
    from.entities.release(moving, [released, left](std::uint32_t) {
      if (left->fetch_sub(1) == 1) released->set_value();
    });
    released->get_future().wait();
    ++version;
    std::vector<ShardEpoch> given;
    for (const auto shard : moving) {
      owners[shard] = to.name;
      given.push_back({shard, ++epochs[shard]});
    }
    tell(round % 3 == 0 ? from : to);
    std::this_thread::sleep_for(2ms);
    to.entities.take(given);
    tell(round % 3 == 0 ? to : from);
    const auto before = done.load();
    for (int i = 0; i < 2000 && done < before + 300; ++i) std::this_thread::sleep_for(5ms);
    REQUIRE(done >= before + 300);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  std::int64_t sum = 0;
  for (int key = 0; key < 60; ++key) {
    const auto answer = a.ask(fmt::format("counter/t/{}", key), std::make_shared<GetTotal>()).get();
    REQUIRE(answer);
    sum += dynamic_cast<const Total&>(**answer).total();
  }
  CHECK(sum == done);
}

}  // namespace cx::test
