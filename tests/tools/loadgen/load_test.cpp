#include "tools/loadgen/load.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <poll.h>
#include <set>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace cx::loadgen {
namespace {

/// A server on a free port of loopback that reads requests and does what it is told about each: what `answer`
/// returns is sent, in pieces of `piece` bytes; an empty answer is silence; after "close" the connection is
/// closed.
class FakeServer {
 public:
  using Answer = std::function<std::string(const std::string& body)>;

  explicit FakeServer(Answer answer, std::size_t piece = 1 << 20)
      : answer_(std::move(answer)), piece_(piece) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(listener_, 128) == 0);
    REQUIRE(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    stop_ = true;
    thread_.join();
    for (const Client& client : clients_) close(client.fd);
    close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1/bid"; }

 private:
  struct Client {
    int fd;
    std::string received;
  };

  void serve() {
    while (!stop_) {
      std::vector<pollfd> fds{{listener_, POLLIN, 0}};
      for (const Client& client : clients_) fds.push_back({client.fd, POLLIN, 0});
      poll(fds.data(), fds.size(), 10);
      for (std::size_t i = fds.size(); i-- > 1;)
        if (fds[i].revents != 0 && !read(clients_[i - 1])) {
          close(clients_[i - 1].fd);
          clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i - 1));
        }
      if ((fds[0].revents & POLLIN) != 0) clients_.push_back({accept(listener_, nullptr, nullptr), {}});
    }
  }

  bool read(Client& client) {
    char buffer[4096];
    const ssize_t got = recv(client.fd, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    client.received.append(buffer, static_cast<std::size_t>(got));
    const std::size_t head = client.received.find("\r\n\r\n");
    if (head == std::string::npos) return true;
    const std::size_t length =
        std::stoul(client.received.substr(client.received.find("Content-Length: ") + 16));
    if (client.received.size() < head + 4 + length) return true;
    const std::string answer = answer_(client.received.substr(head + 4, length));
    client.received.erase(0, head + 4 + length);
    if (answer == "close") return false;
    for (std::size_t at = 0; at < answer.size(); at += piece_)
      send(client.fd, answer.data() + at, std::min(piece_, answer.size() - at), MSG_NOSIGNAL);
    return true;
  }

  Answer answer_;
  std::size_t piece_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::vector<Client> clients_;
  std::thread thread_;
};

std::string http(int status, const std::string& body, const std::string& fields = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + fields + "\r\n" + body;
}

std::string text(const std::string& body, const char* object, const char* key) {
  simdjson::dom::parser parser;
  const auto document = parser.parse(simdjson::padded_string(body));
  const auto at = *object == '\0' ? document[key] : document[object][key];
  return std::string(std::string_view(at));
}

/// A bid for the request's first impression.
std::string bid(const std::string& body) {
  return http(200, R"({"id":")" + text(body, "", "id") +
                       R"(","seatbid":[{"bid":[{"id":"b","impid":"1","price":1}]}]})");
}

/// Every user once, over two connections.
Plan every_user(const FakeServer& server, std::uint32_t users) {
  Plan plan;
  plan.url = server.url();
  plan.mode = Mode::once_each;
  plan.users = users;
  plan.connections = 2;
  plan.check_ids = true;
  plan.timeout = std::chrono::seconds(30);
  plan.duration = std::chrono::seconds(30);
  return plan;
}

std::uint64_t accounted(const Tally& t) {
  return t.answered() + t.timeouts + t.connection_errors;
}

TEST_CASE("every user is sent once, and bids are counted, whatever the number of threads") {
  for (const std::uint32_t threads : {1U, 2U}) {
    std::multiset<std::string> users;
    FakeServer server([&](const std::string& body) {
      users.insert(text(body, "user", "id"));
      return bid(body);
    });
    Plan plan = every_user(server, 100);
    plan.threads = threads;
    const auto report = run(plan);
    REQUIRE(report);
    CHECK(report->tally.sent == 100);
    CHECK(report->tally.ok == 100);
    CHECK(report->tally.bids == 100);
    CHECK(report->most_bids == 1);
    CHECK(report->tally.latency.count() == 100);
    CHECK_FALSE(report->failed());
    CHECK(users.size() == 100);
    CHECK(std::set<std::string>(users.begin(), users.end()).size() == 100);
    CHECK(users.count("u000000099") == 1);
  }
}

TEST_CASE("answers are told apart by status, also in pieces of one byte") {
  std::atomic<int> number = 0;
  FakeServer server(
      [&](const std::string& body) {
        switch (number++ % 4) {
          case 0:
            return bid(body);
          case 1:
            return std::string("HTTP/1.1 204 No Content\r\n\r\n");
          case 2:
            return http(400, "{}");
          default:
            return http(503, "");
        }
      },
      1);
  const auto report = run(every_user(server, 40));
  REQUIRE(report);
  CHECK(report->tally.ok == 10);
  CHECK(report->tally.empty == 10);
  CHECK(report->tally.client_error == 10);
  CHECK(report->tally.server_error == 10);
  CHECK(report->failed());
}

TEST_CASE("a user who is given more bids than the cap is found") {
  FakeServer server([](const std::string& body) {
    std::string bids = R"({"id":")" + text(body, "", "id") + R"(","seatbid":[{"bid":[{"impid":"1"})";
    if (text(body, "user", "id") == "u000000007") bids += R"(,{"impid":"2"},{"impid":"3"})";
    return http(200, bids + "]}]}");
  });
  Plan plan = every_user(server, 10);
  plan.cap = 3;
  auto report = run(plan);
  REQUIRE(report);
  CHECK(report->most_bids == 3);
  CHECK(report->users_over_cap == 0);
  CHECK_FALSE(report->failed());
  plan.cap = 2;
  report = run(plan);
  REQUIRE(report);
  CHECK(report->users_over_cap == 1);
  CHECK(report->failed());
}

TEST_CASE("an answer to somebody else's request is found") {
  std::string last = http(200, R"({"id":"none"})");
  FakeServer server([&](const std::string& body) {
    std::string answer = last;
    last = bid(body);
    return answer;
  });
  const auto report = run(every_user(server, 20));
  REQUIRE(report);
  CHECK(report->tally.ok == 20);
  CHECK(report->tally.mismatched == 20);
  CHECK(report->failed());
}

TEST_CASE("lost connections and nonsense are errors, and the load goes on") {
  std::atomic<int> number = 0;
  FakeServer server([&](const std::string& body) {
    const int n = number++;
    if (n == 3) return std::string("close");
    if (n == 6) return std::string("SSH-2.0\r\n\r\n");
    return bid(body);
  });
  const auto report = run(every_user(server, 20));
  REQUIRE(report);
  CHECK(report->tally.sent == 20);
  CHECK(report->tally.connection_errors == 2);
  CHECK(report->tally.ok == 18);
}

TEST_CASE("a server that closes after each answer, and says so, loses nothing") {
  FakeServer server([](const std::string&) { return http(200, "{}", "Connection: close\r\n"); });
  Plan plan = every_user(server, 20);
  plan.check_ids = false;
  const auto report = run(plan);
  REQUIRE(report);
  CHECK(report->tally.ok == 20);
  CHECK_FALSE(report->failed());
}

TEST_CASE("silence is a timeout, not a no-bid, and the run ends") {
  FakeServer server([](const std::string&) { return std::string(); });
  Plan plan = every_user(server, 4);
  plan.timeout = std::chrono::milliseconds(50);
  const auto report = run(plan);
  REQUIRE(report);
  CHECK(report->tally.timeouts == 4);
  CHECK(report->tally.answered() == 0);
  CHECK(report->tally.latency.count() == 4);
  CHECK(report->tally.latency.percentile(0) >= 50 * 1'000'000);
  CHECK(report->failed());
}

TEST_CASE("an open loop accounts for every request that was due") {
  FakeServer server(bid);
  Plan plan;
  plan.url = server.url();
  plan.mode = Mode::open;
  plan.arrivals = Arrivals::uniform;
  plan.rate = 400;
  plan.connections = 4;
  plan.duration = std::chrono::milliseconds(250);
  plan.warmup = std::chrono::milliseconds(250);
  plan.timeout = std::chrono::seconds(30);
  plan.users = 50;
  const auto report = run(plan);
  REQUIRE(report);
  CHECK(report->tally.sent == 100);
  CHECK(accounted(report->tally) == 100);
  CHECK(report->tally.dropped == 0);
}

TEST_CASE("an open loop against a server that never answers ends, with all requests lost or unsent") {
  FakeServer server([](const std::string&) { return std::string(); });
  Plan plan;
  plan.url = server.url();
  plan.mode = Mode::open;
  plan.arrivals = Arrivals::uniform;
  plan.rate = 1'000;
  plan.connections = 1;
  plan.duration = std::chrono::milliseconds(200);
  plan.warmup = std::chrono::milliseconds(0);
  plan.timeout = std::chrono::milliseconds(50);
  const auto report = run(plan);
  REQUIRE(report);
  CHECK(report->tally.sent + report->tally.dropped == 200);
  CHECK(report->tally.timeouts == report->tally.sent);
  CHECK(report->tally.dropped > 100);
}

TEST_CASE("a corpus is sent as it is") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("cx-loadgen-" + std::to_string(getpid()));
  fs::create_directories(folder);
  std::ofstream(folder / "a.json") << R"({"id":"a"})";
  std::ofstream(folder / "b.json") << "not json";
  std::set<std::string> seen;
  FakeServer server([&](const std::string& body) {
    seen.insert(body);
    return http(200, "{}");
  });
  Plan plan = every_user(server, 50);
  plan.check_ids = false;
  plan.corpus = folder;
  CHECK(run(plan));
  CHECK(seen == std::set<std::string>{R"({"id":"a"})", "not json"});
  fs::remove_all(folder);
  CHECK(run(plan).error().type == "bad-corpus");
}

TEST_CASE("a corpus may leave room for the ids of request and user") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("cx-loadgen-ids-" + std::to_string(getpid()));
  fs::create_directories(folder);
  std::ofstream(folder / "a.json") << R"({"messageId":"################","userId":"u#########","n":"#"})";
  std::set<std::string> requests, users;
  FakeServer server([&](const std::string& body) {
    CHECK(body.size() ==
          std::string_view(R"({"messageId":"################","userId":"u#########","n":"#"})").size());
    CHECK(body.ends_with(R"("n":"#"})"));
    requests.insert(body.substr(14, 16));
    users.insert(body.substr(43, 9));
    return http(200, "{}");
  });
  Plan plan = every_user(server, 50);
  plan.check_ids = false;
  plan.corpus = folder;
  CHECK(run(plan));
  CHECK(requests.size() == 50);
  CHECK(users.size() == 50);
  CHECK(users.contains("000000049"));
  fs::remove_all(folder);
}

TEST_CASE("a plan that cannot be carried out is refused with a reason") {
  FakeServer server(bid);
  Plan plan = every_user(server, 1);
  plan.server_pids = {getpid()};
  const auto report = run(plan);
  REQUIRE(report);
  CHECK(report->server_peak_bytes > 0);

  plan.server_pids = {0x7fffffff};
  CHECK(run(plan).error().detail.find("2147483647") != std::string::npos);
  plan.server_pids.clear();
  plan.url = "http://192.0.2.1/";
  CHECK(run(plan).error().type == "bad-url");
}

TEST_CASE("the report as JSON is one document on one line and keeps the numbers") {
  Plan plan;
  plan.mode = Mode::open;
  plan.rate = 100;
  plan.cap = 5;
  Report report;
  report.seconds = 2;
  report.tally.sent = 1'000;
  report.tally.ok = 600;
  report.tally.empty = 400;
  report.users_over_cap = 3;
  report.server_cpu_seconds = 0.5;
  for (std::uint64_t i = 1; i <= 1'000; ++i) report.tally.latency.record(i * 1'000'000);
  const std::string line = json(plan, report);
  CHECK(line.find('\n') == line.size() - 1);
  simdjson::dom::parser parser;
  const auto document = parser.parse(simdjson::padded_string(line));
  REQUIRE(document.error() == simdjson::SUCCESS);
  CHECK(std::uint64_t(document["answered"]) == 1'000);
  CHECK(double(document["per_second"]) == 500);
  CHECK(double(document["server_us_per_request"]) == 500);
  CHECK(std::uint64_t(document["users_over_cap"]) == 3);
  CHECK(double(document["latency_us"]["p50"]) == doctest::Approx(500'000).epsilon(0.016));
  CHECK(double(document["latency_us"]["p99"]) == doctest::Approx(990'000).epsilon(0.016));
  CHECK(double(document["latency_us"]["p99.9"]) == doctest::Approx(999'000).epsilon(0.016));
  CHECK(double(document["latency_us"]["max"]) == doctest::Approx(1'000'000).epsilon(0.016));
  CHECK(report.failed());

  plan.mode = Mode::closed;
  const auto closed = parser.parse(simdjson::padded_string(json(plan, report)));
  CHECK(closed["latency_us"].error() == simdjson::NO_SUCH_FIELD);
}

}  // namespace
}  // namespace cx::loadgen
