#include "runtime/entity/entities.hpp"

#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>
#include <future>

#include "runtime/address.hpp"
#include "runtime/entity/messages.hpp"
#include "runtime/entity/region.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/system.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/kinds/commands.hpp"
#include "tests/kinds/kinds.hpp"
#include "tests/virtual_time.hpp"

// The same hosts as actors, on real threads.

namespace cx::test {
namespace {

struct Node {
  explicit Node(FaultEnvironment& e, HostOptions options = {}, unsigned regions = 3) : environment(e) {
    auto opened = RocksJournal::open("/data", environment);
    REQUIRE(opened);
    journal = std::move(*opened);
    entities.emplace(Entities::Parts{system, environment, kinds, *journal, commits, reads, metrics, "node"},
                     options, true, regions);
    REQUIRE_FALSE(entities->start());
  }
  ~Node() { entities.reset(); }

  std::future<Answer> ask(const std::string& address, const Message& command) {
    auto copy = std::shared_ptr<Message>(command.New());
    copy->CopyFrom(command);
    auto answer = std::make_shared<std::promise<Answer>>();
    auto request = entities->request(address, copy);
    if (request)
      entities->ask(*std::move(request), [answer](Answer a) { answer->set_value(std::move(a)); });
    else
      answer->set_value(request.error());
    return answer->get_future();
  }
  std::int64_t total(const std::string& address) {
    const auto answer = ask(address, GetTotal()).get();
    return answer ? static_cast<const Total&>(**answer).total() : -1;
  }

  FaultEnvironment& environment;
  Metrics metrics{"node"};
  SystemConfig config{VirtualTime::Config::limits()};
  caf::actor_system system{config};
  Kinds kinds = all_kinds();
  std::unique_ptr<Journal> journal;
  ThreadPool commits{1}, reads{1};
  std::optional<Entities> entities;
};

std::string counter(int n) {
  return "counter/t/" + std::to_string(n);
}

/// Has a command wait until one of the nodes has its shard.
class Elsewhere : public caf::event_based_actor {
 public:
  Elsewhere(caf::actor_config& config, std::vector<Entities*>& nodes)
      : event_based_actor(config), nodes_(nodes) {}
  caf::behavior make_behavior() override {
    return {
        [this](Request& request) {
          const auto self = caf::actor_cast<caf::actor>(this);
          pass_on({std::move(request), [self, promise = make_response_promise()](Answer answer) {
                     caf::anon_send(self, Run{[promise, answer = std::move(answer)]() mutable {
                                      if (answer)
                                        promise.deliver(std::move(*answer));
                                      else
                                        promise.deliver(to_caf(answer.error()));
                                    }});
                   }});
        },
        [this](Asked& asked) { pass_on(std::move(asked)); },
        [](Run& task) { task.run(); },
    };
  }

 private:
  void pass_on(Asked asked) {
    for (auto* node : nodes_)
      if (node->here(asked.request.shard))
        return node->ask(std::move(asked.request), std::move(asked.respond));
    delayed_send(this, std::chrono::milliseconds(1), std::move(asked));
  }
  std::vector<Entities*>& nodes_;
};

/// Nodes of a cluster in one process, over one journal.
struct Nodes {
  explicit Nodes(FaultEnvironment& environment) {
    auto opened = RocksJournal::open("/data", environment);
    REQUIRE(opened);
    journal = std::move(*opened);
    HostOptions options;
    options.clustered = true;
    for (int i = 0; i < 2; ++i) {
      metrics.push_back(std::make_unique<Metrics>("node"));
      nodes.push_back(std::make_unique<Entities>(
          Entities::Parts{system, environment, kinds, *journal, commits, reads, *metrics.back(), "node", 2},
          options, true, 2));
      all.push_back(nodes.back().get());
      nodes.back()->on_lost([this](ShardEpoch) { ++lost; });
    }
    elsewhere = system.spawn<Elsewhere>(all);
    for (auto& node : nodes) {
      node->set_elsewhere(elsewhere);
      REQUIRE_FALSE(node->start());
    }
  }
  ~Nodes() {
    for (auto& node : nodes) node->stop();
    caf::anon_send_exit(elsewhere, caf::exit_reason::user_shutdown);
    caf::scoped_actor {
      system
      } -> wait_for(elsewhere);
    elsewhere = nullptr;
    nodes.clear();
  }
  std::future<Answer> ask(unsigned node, const std::string& address, MessagePtr command,
                          bool here_only = false) {
    auto answer = std::make_shared<std::promise<Answer>>();
    auto request = nodes[node]->request(address, std::move(command));
    request->here_only = here_only;
    nodes[node]->ask(std::move(*request), [answer](Answer a) { answer->set_value(std::move(a)); });
    return answer->get_future();
  }

  std::vector<std::unique_ptr<Metrics>> metrics;
  SystemConfig config{VirtualTime::Config::limits()};
  caf::actor_system system{config};
  Kinds kinds = all_kinds();
  std::unique_ptr<Journal> journal;
  ThreadPool commits{4}, reads{2};
  std::vector<std::unique_ptr<Entities>> nodes;
  std::vector<Entities*> all;
  caf::actor elsewhere;
  std::atomic<int> lost{0};
};

}  // namespace

TEST_CASE("commands from foreign threads reach their entities, on whichever region") {
  FaultEnvironment environment;
  {
    Node node(environment);
    std::vector<std::future<Answer>> answers;
    for (int i = 0; i < 2'000; ++i) answers.push_back(node.ask(counter(i % 200), make_add(1)));
    for (auto& answer : answers) REQUIRE(answer.get());
    for (int i = 0; i < 200; ++i) REQUIRE(node.total(counter(i)) == 10);
    CHECK(node.ask("counter/t", make_add(1)).get().error().type == "invalid-address");
    // What is relaxed is written by stop.
    for (int i = 0; i < 200; ++i) REQUIRE(node.ask(counter(i), make_relaxed(1)).get());
    node.entities->stop();
  }
  environment.disk().lose_power();
  environment.disk().restore_power();
  Node node(environment, {}, 2);
  for (int i = 0; i < 200; ++i) REQUIRE(node.total(counter(i)) == 11);
}

TEST_CASE("an actor sends its request to the region, and gets a reply or the error") {
  FaultEnvironment environment;
  Node node(environment);
  caf::scoped_actor self(node.system);
  const auto request = [&](const Message& command) {
    auto copy = std::shared_ptr<Message>(command.New());
    copy->CopyFrom(command);
    return *node.entities->request(counter(1), copy);
  };
  const auto& region = node.entities->region(request(GetTotal()).shard);
  std::int64_t total = 0;
  self->request(region, caf::infinite, request(make_add(5)))
      .receive([&](const MessagePtr& reply) { total = dynamic_cast<const Total&>(*reply).total(); },
               [&](const caf::error&) { total = -1; });
  CHECK(total == 5);
  Error error;
  self->request(region, caf::infinite, request(make_take(6)))
      .receive([&](const MessagePtr&) {}, [&](const caf::error& e) { error = from_caf(e); });
  CHECK(error.code == Code::invalid_argument);
  CHECK(error.type == "too-little");
  CHECK(error.pointer == "/n");
}

TEST_CASE("who sends a command without asking gets no mail back, and stray mail does not end a region") {
  FaultEnvironment environment;
  Node node(environment);
  caf::scoped_actor self{node.system};
  const auto command = node.entities->request(counter(1), std::make_shared<Add>(make_add(3)));
  REQUIRE(command);
  const auto& region = node.entities->region(command->shard);
  self->send(region, *command);
  self->request(region, caf::infinite, *command)
      .receive([](const MessagePtr& reply) { CHECK(static_cast<const Total&>(*reply).total() == 6); },
               [](const caf::error&) { FAIL("refused"); });
  CHECK(self->mailbox().empty());
  caf::anon_send(region, caf::make_error(caf::sec::unexpected_message));
  caf::anon_send(region, 7);
  CHECK(node.total(counter(1)) == 6);
}

TEST_CASE("past the credit of a shard, commands are refused before they reach a mailbox") {
  FaultEnvironment environment;
  HostOptions options;
  options.shard_credit = 4;
  Node node(environment, options, 1);
  node.total(counter(1));
  // A disk that takes its time keeps the commands under way.
  std::promise<void> go;
  auto gate = go.get_future().share();
  environment.disk().on_sync([gate](const std::string&) { gate.wait(); });
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 10; ++i) answers.push_back(node.ask(counter(1), make_add(1)));
  int refused = 0;
  for (auto& answer : answers) {
    if (answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) continue;
    const auto at_once = answer.get();
    REQUIRE_FALSE(at_once);
    CHECK(at_once.error().code == Code::overloaded);
    ++refused;
  }
  CHECK(refused == 6);
  caf::scoped_actor self(node.system);
  auto request = *node.entities->request(counter(1), std::make_shared<GetTotal>());
  const auto region = node.entities->region(request.shard);
  const auto mail = node.metrics.kind("region").enqueued.value();
  Error error;
  self->request(region, caf::infinite, std::move(request))
      .receive([&](const MessagePtr&) {}, [&](const caf::error& e) { error = from_caf(e); });
  CHECK(error.type == "overloaded");
  CHECK(node.metrics.kind("region").enqueued.value() - mail <= 50);  // ticks only
  go.set_value();
  for (auto& answer : answers)
    if (answer.valid()) CHECK(answer.get());
  environment.disk().on_sync(nullptr);
  CHECK(node.total(counter(1)) == 4);
}

TEST_CASE("shards move between nodes under load, and nobody is refused") {
  FaultEnvironment environment;
  Nodes cluster(environment);
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 100; ++i)
    answers.push_back(cluster.ask(i % 2, counter(i), std::make_shared<Add>(make_add(1))));
  CHECK(cluster.ask(0, counter(0), std::make_shared<GetTotal>(), true).get().error().type == "not-here");
  std::vector<std::uint32_t> shards;
  std::vector<ShardEpoch> first;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    shards.push_back(shard);
    first.push_back({shard, 1});
  }
  cluster.nodes[0]->take(first);
  constexpr int kMoves = 6;
  caf::scoped_actor self(cluster.system);
  int sent = 100;
  for (int move = 0; move < kMoves; ++move) {
    auto& from = *cluster.nodes[static_cast<unsigned>(move % 2)];
    auto& to = *cluster.nodes[static_cast<unsigned>(1 - move % 2)];
    for (; sent < 100 + 400 * (move + 1); ++sent)
      answers.push_back(cluster.ask(sent % 2, counter(sent % 100), std::make_shared<Add>(make_add(1))));
    auto left = std::make_shared<std::atomic<std::size_t>>(shards.size());
    auto gone = std::make_shared<std::promise<void>>();
    from.release(shards,
                 [&to, left, gone, epoch = static_cast<std::uint64_t>(move + 2)](std::uint32_t shard) {
                   to.take({{shard, epoch}});
                   if (--*left == 0) gone->set_value();
                 });
    const auto request = *cluster.nodes[0]->request(counter(1), std::make_shared<GetTotal>());
    self->request(cluster.nodes[0]->region(request.shard), caf::infinite, request)
        .receive([](const MessagePtr&) {}, [](const caf::error&) { FAIL("refused"); });
    gone->get_future().wait();
  }
  for (auto& answer : answers) REQUIRE(answer.get());
  std::int64_t sum = 0;
  for (int i = 0; i < 100; ++i) {
    const auto answer = cluster.ask(0, counter(i), std::make_shared<GetTotal>()).get();
    REQUIRE(answer);
    sum += static_cast<const Total&>(**answer).total();
  }
  CHECK(sum == sent);
  CHECK(cluster.lost == 0);
  cluster.nodes[0]->drop(shards);
  cluster.nodes[1]->drop(shards);
  std::promise<std::vector<ShardStatus>> seen;
  cluster.nodes[0]->shards([&](std::vector<ShardStatus> all) { seen.set_value(std::move(all)); });
  for (const auto& one : seen.get_future().get()) REQUIRE(one.state == "elsewhere");
}

TEST_CASE("operators see every shard, and an entity as it is") {
  FaultEnvironment environment;
  Node node(environment);
  REQUIRE(node.ask(counter(1), make_add(5)).get());
  std::promise<std::vector<ShardStatus>> shards;
  node.entities->shards([&](std::vector<ShardStatus> all) { shards.set_value(std::move(all)); });
  const auto all = shards.get_future().get();
  REQUIRE(all.size() == kShards);
  std::uint64_t records = 0;
  for (std::uint32_t i = 0; i < kShards; ++i) {
    REQUIRE(all[i].shard == i);
    REQUIRE(all[i].state == "open");
    records += all[i].last;
  }
  CHECK(records == 1);
  std::promise<Result<v1::Snapshot>> seen;
  node.entities->inspect(counter(1),
                         [&](Result<v1::Snapshot> snapshot) { seen.set_value(std::move(snapshot)); });
  CHECK(seen.get_future().get()->sequence() == 1);
  std::promise<std::optional<Error>> resolved;
  node.entities->resolve("1-2-3", Entities::DeadLetterVerb::replay,
                         [&](std::optional<Error> error) { resolved.set_value(std::move(error)); });
  CHECK(resolved.get_future().get()->code == Code::not_found);
}

}  // namespace cx::test
