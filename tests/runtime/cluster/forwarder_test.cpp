#include "runtime/cluster/forwarder.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <doctest/doctest.h>
#include <filesystem>
#include <fmt/format.h>
#include <future>
#include <mutex>
#include <set>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

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

namespace cx::test {
namespace {

using cluster::Forwarder;
using namespace std::chrono_literals;

const Kinds& kinds() {
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

v1::ClusterConfig cluster_config() {
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
  SystemConfig system_config{VirtualTime::Config::limits(), config};
  caf::actor_system system{system_config};
  SystemClock clock;
  Metrics metrics{"node"};
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

bool eventually(const std::function<bool()>& what) {
  for (int i = 0; i < 1000; ++i) {
    if (what()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

const std::string kCounter = "counter/t/1";

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

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "cx-forwarder-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

/// An authority `ca`.pem in the folder, and a certificate NODE.pem of it for each node.
void make_certificates(const Folder& folder, const std::string& ca, const std::vector<std::string>& nodes) {
  const auto run = [&](const std::string& command) {
    REQUIRE(std::system(("cd " + folder.path.string() + " && " + command + " >/dev/null 2>&1").c_str()) == 0);
  };
  const std::string key = "openssl ecparam -name prime256v1 -genkey -noout -out ";
  run(key + ca + ".key && openssl req -x509 -new -key " + ca + ".key -subj /CN=" + ca + " -days 2 -out " +
      ca + ".pem");
  for (const auto& node : nodes)
    run(key + node + ".key && openssl req -new -key " + node + ".key -subj /CN=" + node + " -out " + node +
        ".csr && openssl x509 -req -in " + node + ".csr -CA " + ca + ".pem -CAkey " + ca +
        ".key -CAcreateserial -days 2 -out " + node + ".pem");
}

v1::ClusterConfig with_tls(const Folder& folder, const std::string& node, const std::string& ca) {
  auto config = cluster_config();
  config.mutable_tls()->set_certificate(folder.path / (node + ".pem"));
  config.mutable_tls()->set_key(folder.path / (node + ".key"));
  config.mutable_tls()->set_client_ca(folder.path / (ca + ".pem"));
  return config;
}

/// A stranger's connection.
struct Stranger {
  explicit Stranger(std::uint16_t port) : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    const timeval patience{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Stranger() { ::close(fd); }
  void say(const std::string& bytes) {
    static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  /// Reads until the other side closes; false if it does not.
  bool closed() {
    char buffer[4096];
    while (true) {
      const auto got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got == 0 || (got < 0 && errno == ECONNRESET)) return true;
      if (got < 0) return false;
    }
  }
  int fd;
};

std::string framed(const std::string& bytes) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(bytes.size() >> shift));
  return out + bytes;
}

v1::PeerHello greeting(const std::string& incarnation, const std::string& cluster = "test") {
  v1::PeerHello hello;
  hello.set_incarnation(incarnation);
  hello.set_node("node-" + incarnation);
  hello.set_cluster(cluster);
  hello.set_protocol(1);
  return hello;
}

}  // namespace

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

TEST_CASE("a link that is cut while both nodes live is made again, and what is safe is done once") {
  Two two;
  REQUIRE(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "ok");
  two.b.hold(true);
  auto unsafe = two.a.ask(kCounter, make_add(1));
  auto named = two.a.ask(kCounter, make_add(1), "client", 1);
  REQUIRE(eventually([&] { return two.b.waiting() == 2; }));
  {
    // Whoever says that he is A has A's old connection closed.
    Stranger stranger(two.b.port);
    stranger.say(framed(greeting("a").SerializeAsString()));
    CHECK(two.a.outcome(std::move(unsafe)) == "outcome-unknown");
  }
  two.b.hold(false);
  CHECK(two.a.outcome(std::move(named)) == "ok");
  CHECK(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "ok");
  CHECK(two.store.total(kCounter) == 4);
}

TEST_CASE("silent strangers do not keep a node out") {
  Store store;
  Node a(store, "a"), b(store, "b");
  store.give_all("b");
  Table table;
  table.owners.assign(kShards, "b");
  table.tell({&b});
  std::vector<std::unique_ptr<Stranger>> strangers;
  for (int i = 0; i < 100; ++i) strangers.push_back(std::make_unique<Stranger>(b.port));
  table.tell({&a, &b});
  CHECK(a.outcome(a.ask(kCounter, make_add(1))) == "ok");
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

TEST_CASE("garbage from strangers closes their connection, and harms nobody") {
  spdlog::set_level(spdlog::level::off);
  Two two;
  REQUIRE(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "ok");
  const auto hello = framed(greeting("0").SerializeAsString());
  const std::vector<std::string> noises{
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      std::string(4, '\xff'),
      framed("\xff\xff\xff"),
      framed(greeting("0", "other").SerializeAsString()),
      framed(greeting("zz").SerializeAsString()),  // not its part to connect
      framed(greeting("b").SerializeAsString()),   // that is this node itself
      framed(greeting("").SerializeAsString()),
      framed(greeting("0\n1").SerializeAsString()),
      hello + framed("\x0a\xff\xff\xff\xff\xff"),
      hello + std::string("\x7f\xff\xff\xff"),
  };
  for (const auto& noise : noises) {
    CAPTURE(noise);
    Stranger stranger(two.b.port);
    stranger.say(noise);
    CHECK(stranger.closed());
  }
  // Well-formed frames with nonsense in them are answered; nothing of it reaches an entity.
  const auto served = two.b.served.load();
  {
    Stranger stranger(two.b.port);
    v1::PeerFrame frame;
    auto& request = *frame.add_requests();
    request.set_to("no address");
    request.set_epoch(1);
    auto& far = *frame.add_requests();
    far.set_to(kCounter);
    far.set_shard(4'000'000'000);
    auto& question = *frame.add_requests();
    question.mutable_command()->set_type("cx.v9.Unheard");
    frame.add_replies()->set_id(12345);
    stranger.say(hello + framed(frame.SerializeAsString()) + framed("") + framed("\xff"));
    CHECK(stranger.closed());
  }
  CHECK(two.b.served == served);
  CHECK(two.a.outcome(two.a.ask(kCounter, make_add(1))) == "ok");
  spdlog::set_level(spdlog::level::info);
}

TEST_CASE("with TLS, nodes with a certificate of the one authority talk, and others do not") {
  spdlog::set_level(spdlog::level::off);
  const Folder folder;
  make_certificates(folder, "ca", {"a", "b"});
  make_certificates(folder, "other", {"c"});
  Store store;
  Node a(store, "a", with_tls(folder, "a", "ca")), b(store, "b", with_tls(folder, "b", "ca"));
  store.give_all("b");
  Table table;
  table.owners.assign(kShards, "b");
  table.tell({&a, &b});
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 1000; ++i) answers.push_back(a.ask(kCounter, make_add(1)));
  for (auto& answer : answers) REQUIRE(a.outcome(std::move(answer)) == "ok");
  auto letter = make_alarm(std::string(2'000'000, 'x'), 1);  // many TLS records
  CHECK(a.outcome(a.ask("alarm/t/1", letter)) == "ok");

  SUBCASE("a certificate of another authority") {
    auto config = with_tls(folder, "c", "other");
    config.set_patience_ms(300);
    Node c(store, "0", config);
    table.tell({&a, &b, &c});
    CHECK(c.outcome(c.ask(kCounter, make_add(1))) == "node-unreachable");
  }
  SUBCASE("a certificate of another authority, that trusts ours") {
    auto config = with_tls(folder, "c", "ca");
    config.set_patience_ms(300);
    Node c(store, "0", config);
    table.tell({&a, &b, &c});
    CHECK(c.outcome(c.ask(kCounter, make_add(1))) == "node-unreachable");
  }
  SUBCASE("no TLS at all") {
    auto config = cluster_config();
    config.set_patience_ms(300);
    Node c(store, "0", config);
    table.tell({&a, &b, &c});
    CHECK(c.outcome(c.ask(kCounter, make_add(1))) == "node-unreachable");
    Stranger stranger(b.port);
    stranger.say(framed(greeting("0").SerializeAsString()));
    CHECK(stranger.closed());
  }
  CHECK(store.total(kCounter) == 1000);
  CHECK(a.outcome(a.ask(kCounter, make_add(1))) == "ok");
  spdlog::set_level(spdlog::level::info);
}

TEST_CASE("listening says what stands in its way") {
  Store store;
  Node a(store, "a");
  const auto why = [&](const v1::ClusterConfig& config) {
    SystemConfig system_config{VirtualTime::Config::limits(), config};
    caf::actor_system system{system_config};
    SystemClock clock;
    Metrics metrics{"node"};
    Forwarder forwarder({system, [](Request, Respond) {}, kinds(), clock, metrics, config, "x", "1"});
    const auto port = forwarder.listen();
    return port ? "" : port.error().type;
  };
  auto taken = cluster_config();
  taken.set_port(a.port);
  CHECK(why(taken) == "cluster-listen");
  auto elsewhere = cluster_config();
  elsewhere.set_host("192.0.2.1");
  CHECK(why(elsewhere) == "cluster-listen");
  auto files = cluster_config();
  files.mutable_tls()->set_certificate("/nowhere/a.pem");
  CHECK(why(files) == "cluster-tls");
  files.mutable_tls()->set_key("/nowhere/a.key");
  files.mutable_tls()->set_client_ca("/nowhere/ca.pem");
  CHECK(why(files) == "cluster-tls");
}

TEST_CASE("stopping answers what waits") {
  Store store;
  Node a(store, "a");
  auto waits = a.ask(kCounter, make_add(1));
  a.forwarder->stop();
  CHECK(a.outcome(std::move(waits)) == "stopping");
  CHECK(a.outcome(a.ask(kCounter, make_add(1))) == "stopping");
}

// Prints what it finds: run with --no-skip --test-case="*round trips*".
TEST_CASE("round trips to another node, against asking here" * doctest::skip()) {
  const auto measure = [](const std::string& what, const v1::ClusterConfig& config,
                          const v1::ClusterConfig& other) {
    Store store;
    Node a(store, "a", config), b(store, "b", other);
    store.give_all("b");
    Table table;
    table.owners.assign(kShards, "b");
    table.tell({&a, &b});
    auto command = make_alarm(std::string(200, 'x'), 1);
    REQUIRE(a.outcome(a.ask("alarm/t/1", command)) == "ok");
    const auto shared = std::make_shared<SetAlarm>(command);
    const auto run = [&](int count, int window, const std::function<void(Request, Respond)>& send) {
      std::mutex mutex;
      std::condition_variable room;
      int open = 0;
      const auto prepared = *route(kinds(), "alarm/t/1", MessagePtr(shared));
      const auto start = std::chrono::steady_clock::now();
      for (int i = 0; i < count; ++i) {
        std::unique_lock lock(mutex);
        room.wait(lock, [&] { return open < window; });
        ++open;
        lock.unlock();
        send(prepared, [&](const Answer&) {
          const std::lock_guard guard(mutex);
          if (--open == window / 2 || open == 0 || window == 1) room.notify_one();
        });
      }
      std::unique_lock lock(mutex);
      room.wait(lock, [&] { return open == 0; });
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / count;
    };
    const auto remote = [&](Request request, Respond respond) {
      caf::anon_send(a.forwarder->actor(), Asked{std::move(request), std::move(respond)});
    };
    const auto one = run(5'000, 1, remote), many = run(200'000, 1000, remote);
    fmt::print("{}: {:.1f} us a round trip alone, {:.0f}/s with 1000 under way\n", what, one * 1e6, 1 / many);
  };
  measure("plain", cluster_config(), cluster_config());
  const Folder folder;
  make_certificates(folder, "ca", {"a", "b"});
  measure("TLS", with_tls(folder, "a", "ca"), with_tls(folder, "b", "ca"));
}

}  // namespace cx::test
