#include "runtime/entity/entities.hpp"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>
#include <future>

#include "runtime/address.hpp"
#include "runtime/entity/messages.hpp"
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
  SystemConfig config{VirtualTime::Config::limits()};
  caf::actor_system system{config};
  Kinds kinds = all_kinds();
  std::unique_ptr<Journal> journal;
  ThreadPool commits{1}, reads{1};
  Metrics metrics{"node"};
  std::optional<Entities> entities;
};

std::string counter(int n) {
  return "counter/t/" + std::to_string(n);
}

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
