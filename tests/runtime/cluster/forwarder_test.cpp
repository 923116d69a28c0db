#include "runtime/cluster/forwarder.hpp"

#include <caf/scoped_actor.hpp>

#include "tests/runtime/cluster/forwarder_nodes.hpp"

namespace cx::test {

using namespace forwarding;

TEST_CASE("commands reach the node that owns their entity, and come back with a reply or the error") {
  Two two;
  for (int i = 1; i <= 500; ++i) {
    auto answer = two.a.ask(kCounter, make_add(1)).get();
    REQUIRE(answer);
    REQUIRE(dynamic_cast<const Total&>(**answer).total() == i);
  }
  const auto refused = two.a.ask(kCounter, make_take(1000)).get();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::invalid_argument);
  CHECK(refused.error().pointer == "/n");
  const auto nothing = two.a.ask("alarm/t/1", make_cancel("x")).get();
  REQUIRE(nothing);
  CHECK(*nothing == nullptr);
  // And as actors ask.
  caf::scoped_actor self(two.a.system);
  const auto request = route(kinds(), kCounter, std::make_shared<GetTotal>());
  self->request(two.a.forwarder->actor(), 20s, *request)
      .receive([](const MessagePtr& reply) { CHECK(dynamic_cast<const Total&>(*reply).total() == 500); },
               [](const caf::error&) { FAIL("no reply"); });
  CHECK(two.a.metrics.prometheus_text().find("cx_forwarded_total 503") != std::string::npos);
}

TEST_CASE("both sides use the one connection, at once") {
  Two two;
  for (std::uint32_t shard = 0; shard < kShards; shard += 2) {
    two.store.give(shard, "a");
    two.table.own(shard, "a");
  }
  two.table.tell({&two.a, &two.b});
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 1000; ++i) {
    const auto to = "counter/t/" + std::to_string(i % 50);
    answers.push_back(two.a.ask(to, make_add(1)));
    answers.push_back(two.b.ask(to, make_add(1)));
  }
  for (auto& answer : answers) REQUIRE(two.a.outcome(std::move(answer)) == "ok");
  for (int i = 0; i < 50; ++i) CHECK(two.store.total("counter/t/" + std::to_string(i)) == 40);
}

TEST_CASE("while shards move to and fro under load, nothing fails and nothing is done twice or not at all") {
  Two two;
  Node c(two.store, "c");
  const std::vector<Node*> nodes{&two.a, &two.b, &c};
  two.table.tell(nodes);
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0}, done{0};
  std::vector<std::thread> clients;
  for (auto* node : nodes)
    clients.emplace_back([&, node] {
      for (int i = 0; !stop; ++i) {
        std::vector<std::future<Answer>> some;
        for (int j = 0; j < 20; ++j)
          some.push_back(node->ask(fmt::format("counter/t/{}", (i + j) % 40), make_add(1)));
        for (auto& one : some) {
          const auto answer = one.get();
          if (!answer) ++failures;
          ++done;
        }
      }
    });
  auto more = [&, last = 0]() mutable {
    REQUIRE(eventually([&] { return done > last + 200; }));
    last = done;
  };
  for (int round = 0; round < 12; ++round) {
    const auto& to = nodes[(round + 1) % 3]->name;
    std::vector<std::uint32_t> moving;
    for (int key = 0; key < 40; ++key)
      if ((key + round) % 3 != 0) moving.push_back(shard_of("t", std::to_string(key)));
    for (const auto shard : moving) two.store.give(shard, "");  // released
    std::this_thread::sleep_for(2ms);
    for (const auto shard : moving) two.table.own(shard, to);
    two.table.tell(nodes);
    std::this_thread::sleep_for(round % 2 == 0 ? 1ms : 15ms);
    for (const auto shard : moving) two.store.give(shard, to);  // opened
    more();
  }
  stop = true;
  for (auto& client : clients) client.join();
  CHECK(failures == 0);
  std::int64_t sum = 0;
  for (int key = 0; key < 40; ++key) sum += two.store.total(fmt::format("counter/t/{}", key));
  CHECK(sum == done);
}

TEST_CASE("a node that dies with commands under way: what is safe is done elsewhere, the rest is unknown") {
  Store store;
  Node a(store, "a");
  auto b = std::make_unique<Node>(store, "b");
  Node c(store, "c");
  store.give_all("b");
  Table table;
  table.owners.assign(kShards, "b");
  table.tell({&a, b.get(), &c});
  REQUIRE(a.outcome(a.ask(kCounter, make_add(1))) == "ok");
  b->hold(true);
  auto unsafe = a.ask(kCounter, make_add(1));
  auto named = a.ask(kCounter, make_add(1), "client", 1);
  auto query = a.ask(kCounter, GetTotal());
  REQUIRE(eventually([&] { return b->waiting() == 3; }));
  b.reset();
  CHECK(a.outcome(std::move(unsafe)) == "outcome-unknown");
  store.give_all("c");
  for (std::uint32_t shard = 0; shard < kShards; ++shard) table.own(shard, "c");
  table.tell({&a, &c});
  CHECK(a.outcome(std::move(named)) == "ok");
  CHECK(a.outcome(std::move(query)) == "ok");
  CHECK(store.total(kCounter) == 3);  // the one of unknown outcome was done
}

TEST_CASE("credit bounds what is under way to a node, and is given back with the answers") {
  auto config = cluster_config();
  config.set_peer_credit(16);
  Two two(config);
  REQUIRE(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "ok");
  two.b.hold(true);
  std::vector<std::future<Answer>> held;
  for (int i = 0; i < 16; ++i) held.push_back(two.a.ask(kCounter, make_add(1)));
  REQUIRE(eventually([&] { return two.b.waiting() == 16; }));
  CHECK(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "overloaded");
  two.b.hold(false);
  for (auto& answer : held) CHECK(two.a.outcome(std::move(answer)) == "ok");
  CHECK(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "ok");
  CHECK(two.store.total(kCounter) == 18);
}

TEST_CASE("the receiver bounds what it serves for a node, whatever that one believes") {
  auto small = cluster_config();
  small.set_peer_credit(16);
  Store store;
  Node a(store, "a"), b(store, "b", small);
  store.give_all("b");
  Table table;
  table.owners.assign(kShards, "b");
  table.tell({&a, &b});
  REQUIRE(a.outcome(a.ask(kCounter, make_add(1))) == "ok");
  b.hold(true);
  std::vector<std::future<Answer>> all;
  for (int i = 0; i < 20; ++i) all.push_back(a.ask(kCounter, make_add(1)));
  REQUIRE(eventually([&] { return b.waiting() == 16; }));
  for (int i = 16; i < 20; ++i) CHECK(a.outcome(std::move(all[static_cast<std::size_t>(i)])) == "overloaded");
  b.hold(false);
  for (int i = 0; i < 16; ++i) CHECK(a.outcome(std::move(all[static_cast<std::size_t>(i)])) == "ok");
}

TEST_CASE("a deadline is kept on the way out, under way and on arrival") {
  Two two;
  REQUIRE(two.a.outcome(two.a.ask(kCounter, make_add(1), "", 0, 10'000ms)) == "ok");
  CHECK(two.b.latest.deadline > two.b.clock.unix_ms());
  two.b.hold(true);
  CHECK(two.a.outcome(two.a.ask(kCounter, make_add(1), "", 0, 50ms)) == "deadline-exceeded");
  two.b.hold(false);
  for (auto& owner : two.table.owners) owner.clear();
  two.table.tell({&two.a, &two.b});
  CHECK(two.a.outcome(two.a.ask(kCounter, make_add(1), "", 0, 50ms)) == "deadline-exceeded");
}

TEST_CASE("a receiver that knows another epoch refuses, and the sender waits for a newer table") {
  auto config = cluster_config();
  config.set_patience_ms(300);
  Two two(config);
  REQUIRE(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "ok");
  const std::map<std::string, std::uint16_t> ports{{"a", two.a.port}, {"b", two.b.port}};
  for (std::uint32_t shard = 0; shard < kShards; ++shard) two.table.own(shard, "b");
  ++two.table.version;
  two.b.forwarder->update(two.table.as_seen_by("b", ports));
  CHECK(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "shard-moving");
  auto waits = two.a.ask(kCounter, make_add(1));
  two.a.forwarder->update(two.table.as_seen_by("a", ports));
  CHECK(two.a.outcome(std::move(waits)) == "ok");
}

TEST_CASE("a node of another cluster is not talked to") {
  auto config = cluster_config();
  config.set_patience_ms(200);
  auto other = config;
  other.set_name("other");
  Store store;
  Node a(store, "a", config), b(store, "b", other);
  store.give_all("b");
  Table table;
  table.owners.assign(kShards, "b");
  table.tell({&a, &b});
  CHECK(a.outcome(a.ask(kCounter, make_add(1))) == "node-unreachable");
  CHECK(a.question("b", GetTotal()).error().type == "node-unreachable");
  CHECK(b.served == 0);
}

TEST_CASE("nodes answer questions to themselves, of others and of their own") {
  Two two;
  two.b.forwarder->on_question([](MessagePtr question, Respond respond) {
    auto reply = std::make_shared<Total>();
    reply->set_total(dynamic_cast<const Add&>(*question).n() + 1);
    respond(MessagePtr(reply));
  });
  two.table.tell({&two.a, &two.b});
  REQUIRE(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "ok");  // there is a link
  for (auto* node : {&two.a, &two.b}) {
    const auto answer = node->question("b", make_add(41));
    REQUIRE(answer);
    CHECK(dynamic_cast<const Total&>(**answer).total() == 42);
  }
  CHECK(two.b.question("a", make_add(1)).error().code == Code::unavailable);
  CHECK(two.a.question("nobody", make_add(1)).error().type == "node-unreachable");
}

TEST_CASE("a node that comes back under a new incarnation is reached again") {
  Store store;
  Node a(store, "a");
  Table table;
  for (const auto* life : {"b1", "b2", "b3"}) {
    Node b(store, life);
    store.give_all(life);
    for (std::uint32_t shard = 0; shard < kShards; ++shard) table.own(shard, life);
    table.tell({&a, &b});
    REQUIRE(a.outcome(a.ask(kCounter, make_add(1))) == "ok");
  }
  CHECK(store.total(kCounter) == 3);
}

TEST_CASE("stopping answers what waits") {
  Store store;
  Node a(store, "a");
  auto waits = a.ask(kCounter, make_add(1));
  a.forwarder->stop();
  CHECK(a.outcome(std::move(waits)) == "stopping");
  CHECK(a.outcome(a.ask(kCounter, make_add(1))) == "stopping");
}

}  // namespace cx::test
