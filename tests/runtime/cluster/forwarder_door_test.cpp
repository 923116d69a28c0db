#include <arpa/inet.h>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/runtime/cluster/forwarder_nodes.hpp"

// Who is let in where nodes listen for each other: strangers, garbage, certificates.

namespace cx::test {
namespace {

using namespace forwarding;

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
    Metrics metrics{"node"};
    SystemConfig system_config{VirtualTime::Config::limits(), config};
    caf::actor_system system{system_config};
    SystemClock clock;
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
