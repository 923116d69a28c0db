// What the suite of every home does not ask: several nodes, servers that go away, replicas that are no good.
#include <filesystem>
#include <thread>

#include "tests/runtime/catalog/jetstream_node.hpp"
#include "tests/runtime/projection/log.hpp"

namespace cx::test {
namespace {

using namespace std::chrono_literals;

v1::Document document(const DocumentKey& key, std::uint64_t revision, const std::string& body) {
  v1::Document out;
  out.set_kind(key.kind);
  out.set_tenant(key.tenant);
  out.set_id(key.id);
  out.set_revision(revision);
  out.mutable_body()->set_bytes(body);
  return out;
}

std::optional<Error> put(DocumentStore& store, const DocumentKey& key, std::uint64_t revision,
                         const std::string& body) {
  auto one = document(key, revision, body);
  return store.put({&one, 1}).front();
}

std::uint64_t revision_of(const DocumentStore& store, const DocumentKey& key) {
  const auto newest = store.latest(key);
  REQUIRE(newest);
  return *newest ? (*newest)->revision() : 0;
}

/// Bodies of all revisions, the newest first.
std::vector<std::string> bodies(const DocumentStore& store, const DocumentKey& key) {
  const auto history = store.history(key, 0, 1'000'000);
  REQUIRE(history);
  std::vector<std::string> out;
  for (const auto& revision : *history) out.push_back(revision.body().bytes());
  return out;
}

template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 3'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

const DocumentKey kKey{"x", "acme", "a"};

/// Stores `count` bodies as the revisions that come next, whoever else does; the bodies that were stored.
std::vector<std::string> write(DocumentStore& store, const std::string& who, int count) {
  std::vector<std::string> stored;
  for (int i = 0; i < count; ++i) {
    const auto body = who + std::to_string(i);
    for (;;) {
      const auto error = put(store, kKey, revision_of(store, kKey) + 1, body);
      if (!error) break;
      if (error->code != Code::conflict) throw std::runtime_error(error->type + ": " + error->detail);
    }
    stored.push_back(body);
  }
  return stored;
}

}  // namespace

TEST_CASE("of nodes that race for a revision one wins, and all end up with the same documents") {
  const auto cluster = new_cluster();
  JetStreamNode nodes[3];
  for (auto& node : nodes) node.open(cluster);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, i] { write(*nodes[i].store, std::string(1, static_cast<char>('a' + i)), 30); });
  for (auto& thread : threads) thread.join();
  for (auto& node : nodes) CHECK(eventually([&] { return revision_of(*node.store, kKey) == 90; }));
  const auto all = bodies(*nodes[0].store, kKey);
  CHECK(std::set<std::string>(all.begin(), all.end()).size() == 90);  // none twice, none lost
  CHECK(bodies(*nodes[1].store, kKey) == all);
  CHECK(bodies(*nodes[2].store, kKey) == all);
}

TEST_CASE("a node is told of what others store, and can read it then") {
  const auto cluster = new_cluster();
  JetStreamNode one, two;
  one.open(cluster);
  two.open(cluster);
  std::atomic<std::uint64_t> seen{0};
  two.store->on_change([&] { seen = revision_of(*two.store, kKey); });
  for (std::uint64_t n = 1; n <= 5; ++n) {
    REQUIRE(!put(*one.store, kKey, n, "v"));
    CHECK(eventually([&] { return seen == n; }));
  }
  // Whoever knows of a revision may build on it before this node has read it.
  REQUIRE(!put(*one.store, kKey, 6, "v"));
  CHECK(!put(*two.store, kKey, 7, "v"));
  CHECK(put(*two.store, kKey, 9, "v")->code == Code::conflict);
  two.store->on_change({});
}

TEST_CASE("a large batch is stored in order, its repeated keys one after the other") {
  JetStreamNode node;
  node.open(new_cluster());
  std::vector<v1::Document> batch;
  for (int i = 0; i < 700; ++i) batch.push_back(document({"x", "acme", "d" + std::to_string(i)}, 1, "v"));
  for (std::uint64_t n = 1; n <= 3; ++n) batch.push_back(document(kKey, n, "v"));
  batch.push_back(document({"x", "acme", "big"}, 1, std::string(1'000'000, 'b')));
  for (const auto& error : node.store->put(batch)) REQUIRE(!error);
  for (std::size_t i = 1; i < batch.size(); ++i) CHECK(batch[i].change() > batch[i - 1].change());
  const auto changes = node.store->changes(0, 10'000);
  REQUIRE(changes);
  REQUIRE(changes->size() == batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i)
    CHECK((*changes)[i].SerializeAsString() == batch[i].SerializeAsString());
}

TEST_CASE("what cannot be a subject, and what no server takes, is refused with a reason") {
  JetStreamNode node;
  node.open(new_cluster());
  for (const DocumentKey& key : std::initializer_list<DocumentKey>{{"x", "acme", ""},
                                                                   {"x", "acme", "a.b"},
                                                                   {"x", "acme", "*"},
                                                                   {"x", "acme", ">"},
                                                                   {"x", "acme", "a b"},
                                                                   {"x", "acme", "a\r\nPUB"},
                                                                   {"x", "*", "a"},
                                                                   {"x.y", "acme", "a"},
                                                                   {"", "acme", "a"},
                                                                   {"x", "acme", std::string(129, 'a')}})
    CHECK(put(*node.store, key, 1, "v")->type == "invalid-key");
  const auto error = put(*node.store, kKey, 1, std::string(1'048'400, 'b'));
  REQUIRE(error);
  CHECK(error->type == "document-too-large");
  CHECK(!put(*node.store, kKey, 1, "v"));
  for (const auto* name : {"", "a.b", "a b", "*"})
    CHECK(JetStreamDocumentStore::open(*node.jetstream, {.cluster = name}, "/data/other",
                                       node.environment.files())
              .error()
              .type == "invalid-config");
}

TEST_CASE("what is no document is passed over") {
  const auto cluster = new_cluster();
  JetStreamNode node;
  node.open(cluster);
  REQUIRE(!put(*node.store, kKey, 1, "v"));
  const auto subject = [&](const std::string& id) { return cluster + ".catalog.x.acme." + id; };
  const auto say = [&](const std::string& id, const std::string& payload) {
    REQUIRE(node.jetstream->publish(subject(id), payload, {}, std::nullopt));
  };
  say("b", "rubbish");
  say("c", document(kKey, 2, "of another subject").SerializeAsString());
  say("d", document({"x", "acme", "d"}, 5, "out of order").SerializeAsString());
  REQUIRE(!put(*node.store, kKey, 2, "v"));
  CHECK(node.store->changes(0, 100)->size() == 2);
  JetStreamNode other;
  other.open(cluster);
  CHECK(other.store->changes(0, 100)->size() == 2);
  CHECK(!put(*other.store, kKey, 3, "v"));
}

/// Two nodes write all the time while `disturb` is called some times; then all that was stored is there,
/// once.
template <class Disturb>
void write_through(JetStreamNode (&nodes)[2], int rounds, const Disturb& disturb) {
  std::vector<std::string> stored[2];
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; !over; ++n)
        for (auto& body : write(*nodes[i].store, std::to_string(i) + "-" + std::to_string(n) + "-", 1))
          stored[i].push_back(std::move(body));
    });
  for (int round = 0; round < rounds; ++round) {
    std::this_thread::sleep_for(100ms);
    disturb();
  }
  std::this_thread::sleep_for(200ms);
  over = true;
  for (auto& thread : threads) thread.join();

  const auto count = stored[0].size() + stored[1].size();
  MESSAGE(count << " revisions");
  for (auto& node : nodes) CHECK(eventually([&] { return revision_of(*node.store, kKey) == count; }));
  const auto all = bodies(*nodes[0].store, kKey);
  const std::set<std::string> once(all.begin(), all.end());
  CHECK(once.size() == count);
  for (const auto& of : stored)
    for (const auto& body : of) CHECK(once.contains(body));
  CHECK(bodies(*nodes[1].store, kKey) == all);
}

TEST_CASE("a server that restarts costs time, and nothing else") {
  const auto cluster = new_cluster();
  JetStreamNode nodes[2]{JetStreamNode(500ms), JetStreamNode(500ms)};
  for (auto& node : nodes) node.open(cluster, 60s);
  write_through(nodes, 4, [] {
    nats_server().kill();
    nats_server().start();
  });
}

TEST_CASE("of three servers any one may go") {
  NatsCluster servers;
  const auto cluster = new_cluster();
  JetStreamNode nodes[2]{JetStreamNode(500ms, servers.config()), JetStreamNode(500ms, servers.config())};
  for (auto& node : nodes) node.open(cluster, 60s);
  write_through(nodes, 2, [&] {
    std::optional<std::size_t> leader;
    const auto found = eventually(
        [&] { return (leader = servers.leader(*nodes[0].connection, cluster + "_catalog")).has_value(); });
    CHECK(found);
    if (!found) return;
    servers[*leader].kill();
    std::this_thread::sleep_for(1s);
    servers[*leader].start();
    servers.wait_ready();
  });
}

TEST_CASE("an answer that does not come is looked up: nothing is stored twice, or said to be and is not") {
  const auto cluster = new_cluster();
  JetStreamNode node(100ms);
  node.open(cluster, 60s);
  std::vector<std::string> stored;
  std::atomic<bool> done = false;
  std::thread writer([&] {
    stored = write(*node.store, "v", 600);
    done = true;
  });
  while (!done) {
    nats_server().pause();
    std::this_thread::sleep_for(250ms);
    nats_server().resume();
    std::this_thread::sleep_for(30ms);
  }
  writer.join();
  auto all = bodies(*node.store, kKey);
  std::reverse(all.begin(), all.end());
  CHECK(all == stored);
}

TEST_CASE("without a server reads go on, and a put says that its outcome is unknown") {
  const auto cluster = new_cluster();
  JetStreamNode node(100ms);
  node.open(cluster, 400ms);
  REQUIRE(!put(*node.store, kKey, 1, "first"));
  nats_server().pause();
  std::this_thread::sleep_for(100ms);  // all of its threads
  const auto error = put(*node.store, kKey, 2, "second");
  nats_server().resume();
  REQUIRE(error);
  CHECK(error->type == "catalog-unreachable");
  CHECK(error->code == Code::unavailable);
  CHECK(revision_of(*node.store, kKey) >= 1);
  // It comes or not, and then stays what it is.
  REQUIRE(eventually([&] {
    const auto next = put(*node.store, kKey, 3, "third");
    return !next || !put(*node.store, kKey, 2, "again");
  }));
  const auto all = bodies(*node.store, kKey);
  CHECK((all == std::vector<std::string>{"third", "second", "first"} ||
         all == std::vector<std::string>{"again", "first"}));
}

TEST_CASE("a replica of other documents is moved aside, not mixed with the cluster's and not lost") {
  TemporaryDirectory directory;
  const auto path = directory.file("catalog");
  auto& env = *rocksdb::Env::Default();
  JetStreamNode node;
  const auto open = [&](const std::string& cluster) {
    auto opened = JetStreamDocumentStore::open(*node.jetstream, {.cluster = cluster}, path, env);
    REQUIRE(opened);
    return std::move(*opened);
  };
  {  // a node that stood alone
    auto alone = RocksDocumentStore::open(path, env);
    REQUIRE(alone);
    REQUIRE(!put(**alone, kKey, 1, "alone"));
  }
  const auto one = new_cluster(), two = new_cluster();
  {
    const auto store = open(one);
    CHECK(revision_of(*store, kKey) == 0);
    REQUIRE(!put(*store, kKey, 1, "one"));
    REQUIRE(!put(*store, kKey, 2, "one more"));
  }
  {
    auto aside = RocksDocumentStore::open(path + ".other", env);
    REQUIRE(aside);
    CHECK(bodies(**aside, kKey) == std::vector<std::string>{"alone"});
  }
  CHECK(bodies(*open(one), kKey).size() == 2);  // as it was left
  {
    JetStreamNode elsewhere;
    elsewhere.open(two);
    for (std::uint64_t n = 1; n <= 3; ++n) REQUIRE(!put(*elsewhere.store, kKey, n, "two"));
  }
  CHECK(bodies(*open(two), kKey) == std::vector<std::string>{"two", "two", "two"});
  CHECK(std::filesystem::exists(path + ".other"));
  CHECK(bodies(*open(one), kKey).size() == 2);  // from the stream
}

}  // namespace cx::test
