#pragma once

#include <atomic>
#include <caf/actor_system.hpp>
#include <deque>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runtime/cluster/forwarder.hpp"
#include "runtime/entity/messages.hpp"
#include "runtime/entity/region.hpp"
#include "runtime/entity/route.hpp"
#include "runtime/system.hpp"
#include "tests/kinds/commands.hpp"
#include "tests/kinds/kinds.hpp"
#include "tests/runtime/cluster/topologies.hpp"
#include "tests/virtual_time.hpp"

// Nodes in one process that talk over loopback. Their entities are counters in a store that all share, as if
// a shard's state moved with it in no time.

namespace cx::test::forwarding {

using cluster::Forwarder;
using namespace std::chrono_literals;

inline const Kinds& kinds() {
  static const Kinds all = all_kinds();
  return all;
}

/// Who has which shard, and what was done.
struct Store {
  std::mutex mutex;
  std::map<std::uint32_t, std::string> holder;  ///< by shard
  std::map<std::string, std::int64_t> totals;   ///< by address
  std::set<std::string> seen;                   ///< "source-sequence"
  void give(std::uint32_t shard, const std::string& node) {
    const std::lock_guard lock(mutex);
    holder[shard] = node;
  }
  void give_all(const std::string& node) {
    for (std::uint32_t shard = 0; shard < kShards; ++shard) give(shard, node);
  }
  std::int64_t total(const std::string& address) {
    const std::lock_guard lock(mutex);
    return totals[address];
  }
};

inline v1::ClusterConfig cluster_config() {
  v1::ClusterConfig config;
  config.set_enabled(true);
  config.set_name("test");
  config.set_host("127.0.0.1");
  config.set_peer_credit(4096);
  config.set_patience_ms(10'000);
  return config;
}

struct Node {
  Node(Store& s, std::string incarnation, v1::ClusterConfig c = cluster_config())
      : store(s), name(std::move(incarnation)), config(std::move(c)) {
    forwarder.emplace(Forwarder::Parts{
        system, [this](Request request, Respond respond) { serve(std::move(request), std::move(respond)); },
        kinds(), clock, metrics, config, "node-" + name, "1.0"});
    auto listening = forwarder->listen();
    REQUIRE(listening);
    port = *listening;
  }
  ~Node() {
    forwarder.reset();
    // What was held back is never answered.
  }

  /// As Entities::ask.
  void serve(Request request, Respond respond) {
    std::unique_lock lock(store.mutex);
    if (store.holder[request.shard] != name)
      return respond(Error{Code::unavailable, "not-here", "Not here.", ""});
    latest = request;
    ++served;
    auto reply = std::make_shared<Total>();
    Answer answer = MessagePtr(reply);
    if (const auto* add = dynamic_cast<const Add*>(request.command.get())) {
      const bool again = !request.source.empty() &&
                         !store.seen.insert(fmt::format("{}-{}", request.source, request.sequence)).second;
      if (!again) store.totals[request.to] += add->n();
      reply->set_total(store.totals[request.to]);
    } else if (dynamic_cast<const Take*>(request.command.get()) != nullptr) {
      answer = Error{Code::invalid_argument, "too-little", "There is not that much.", "/n"};
    } else if (dynamic_cast<const GetTotal*>(request.command.get()) != nullptr) {
      reply->set_total(store.totals[request.to]);
    } else {
      answer = MessagePtr();
    }
    if (holding) {
      held.emplace_back([respond, answer] { respond(answer); });
      return;
    }
    lock.unlock();
    respond(answer);
  }
  void hold(bool on) {
    std::deque<std::function<void()>> all;
    {
      const std::lock_guard lock(store.mutex);
      holding = on;
      if (!on) all.swap(held);
    }
    for (const auto& answer : all) answer();
  }

  std::future<Answer> ask(const std::string& to, const Message& command, const std::string& source = "",
                          std::uint64_t sequence = 0, std::chrono::milliseconds patience = 0ms) {
    auto copy = std::shared_ptr<Message>(command.New());
    copy->CopyFrom(command);
    auto request = route(kinds(), to, copy);
    REQUIRE(request);
    request->source = source;
    request->sequence = sequence;
    if (patience > 0ms) request->deadline = clock.unix_ms() + patience.count();
    auto answer = std::make_shared<std::promise<Answer>>();
    auto future = answer->get_future();
    caf::anon_send(forwarder->actor(),
                   Asked{std::move(*request), [answer](Answer a) { answer->set_value(std::move(a)); }});
    return future;
  }
  std::string outcome(std::future<Answer> answer) {
    REQUIRE(answer.wait_for(20s) == std::future_status::ready);
    const auto got = answer.get();
    return got ? "ok" : got.error().type;
  }
  Answer question(const std::string& member, const Message& message,
                  std::chrono::milliseconds patience = 1s) {
    auto copy = std::shared_ptr<Message>(message.New());
    copy->CopyFrom(message);
    auto answer = std::make_shared<std::promise<Answer>>();
    auto future = answer->get_future();
    forwarder->ask_node(member, copy, patience, [answer](Answer a) { answer->set_value(std::move(a)); });
    REQUIRE(future.wait_for(20s) == std::future_status::ready);
    return future.get();
  }
  std::size_t waiting() {
    const std::lock_guard lock(store.mutex);
    return held.size();
  }

  Store& store;
  const std::string name;
  const v1::ClusterConfig config;
  Metrics metrics{"node"};
  SystemConfig system_config{VirtualTime::Config::limits(), config};
  caf::actor_system system{system_config};
  SystemClock clock;
  std::uint16_t port = 0;
  bool holding = false;
  std::deque<std::function<void()>> held;
  Request latest;
  std::atomic<int> served{0};
  std::optional<Forwarder> forwarder;  // last: the first to go
};

/// Tells all nodes the same.
struct Table {
  std::uint64_t version = 0;
  std::vector<std::string> owners = std::vector<std::string>(kShards);
  std::vector<std::uint64_t> epochs = std::vector<std::uint64_t>(kShards, 1);
  void own(std::uint32_t shard, const std::string& owner) {
    owners[shard] = owner;
    ++epochs[shard];
  }
  cluster::TopologyPtr as_seen_by(const std::string& self,
                                  const std::map<std::string, std::uint16_t>& ports) const {
    auto made = std::make_shared<cluster::Topology>(*topology_at(self, version, ports, owners));
    for (std::uint32_t shard = 0; shard < kShards; ++shard)
      made->placement.mutable_shards(static_cast<int>(shard))->set_epoch(epochs[shard]);
    return made;
  }
  void tell(const std::vector<Node*>& nodes) {
    ++version;
    std::map<std::string, std::uint16_t> ports;
    for (const auto* node : nodes) ports[node->name] = node->port;
    for (auto* node : nodes) node->forwarder->update(as_seen_by(node->name, ports));
  }
};

inline bool eventually(const std::function<bool()>& what) {
  for (int i = 0; i < 1000; ++i) {
    if (what()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

inline const std::string kCounter = "counter/t/1";

struct Two {
  explicit Two(const v1::ClusterConfig& config = cluster_config())
      : a(store, "a", config), b(store, "b", config) {
    store.give_all("b");
    table.owners.assign(kShards, "b");
    table.tell({&a, &b});
  }
  Store store;
  Node a, b;
  Table table;
};

}  // namespace cx::test::forwarding
