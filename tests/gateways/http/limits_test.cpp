#include <doctest/doctest.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include "fixture.hpp"

namespace cx::http {
namespace {

RawReply echo(const RawRequest& request) {
  return RawReply::document(request.body);
}

double metric(Metrics& metrics, const std::string& name) {
  const auto text = metrics.prometheus_text();
  const auto at = text.find("\n" + name + " ");
  REQUIRE(at != text.npos);
  return std::stod(text.substr(at + name.size() + 2));
}

/// Waits until the server counts `n` connections.
void await_connections(Metrics& metrics, int n) {
  for (int i = 0; i < 2000; ++i) {
    if (metric(metrics, "cx_http_connections") == n) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  FAIL("the number of connections never became " << n);
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a body over the limit is refused before it is sent, and closed") {
  config.set_max_body(1024);
  start();
  auto c = client();
  const auto declared = c.ask("POST /v1/bid HTTP/1.1\r\nHost: test\r\nContent-Length: 1025\r\n\r\n");
  CHECK(declared.status == 413);
  CHECK(declared.field("connection") == "close");
  CHECK(c.ended());
  auto chunked = client();
  CHECK(chunked.ask("POST /v1/bid HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n")
            .status == 413);
  auto pushing = client();  // sends it all before it looks: must not lose the answer to a reset
  REQUIRE(pushing.send(bid(std::string(1 << 20, 'x'))));
  CHECK(pushing.read().status == 413);
  auto exact = client();
  REQUIRE(exact.send(bid(std::string(1024, 'x'))));
  CHECK(agents.take().body.size() == 1024);
}

TEST_CASE_FIXTURE(Fixture, "a header over the limit is refused, however it is cut") {
  start();
  auto c = client();
  CHECK(c.ask(get("/healthz", "X: " + std::string(20000, 'x') + "\r\n")).status == 431);
  CHECK(c.ended());
  auto long_line = client();
  CHECK(long_line.ask(get(std::string(20000, '/'))).status == 431);
  auto lines = client();
  std::string many;
  for (int i = 0; i < 200; ++i) many += "X: " + std::string(95, 'x') + "\r\n";
  CHECK(lines.ask(get("/healthz", many)).status == 431);
  auto extension = client();
  CHECK(extension
            .ask("POST /v1/bid HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                 std::string(40000, 'x'))
            .status == 431);
  auto fits = client();
  CHECK(fits.ask(get("/healthz", "X: " + std::string(16000, 'x') + "\r\n")).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "a request that dawdles is given up") {
  config.set_read_timeout_ms(40);
  start();
  auto header = client();
  REQUIRE(header.send("GET /hea"));
  const auto slow = header.read();
  CHECK(slow.status == 408);
  CHECK(slow.field("connection") == "close");
  CHECK(header.ended());
  auto body = client();
  REQUIRE(body.send(bid("x") + "POST /v1/bid HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nx"));
  auto first = agents.take();
  CHECK_FALSE(body.readable(100));  // the answer to the first one goes first
  first.reply(echo(first));
  CHECK(body.read().body == "x");
  CHECK(body.read().status == 408);
  auto drip = client();  // one byte at a time does not help
  while (drip.send("x") && !drip.readable(5)) {
  }
  CHECK(drip.read().status == 408);
}

TEST_CASE_FIXTURE(Fixture, "an idle connection is closed silently, a waiting one is not") {
  config.set_idle_timeout_ms(250);
  start();
  auto fresh = client(), used = client(), waiting = client();
  REQUIRE(waiting.send(bid("x")));
  auto request = agents.take();
  CHECK(used.ask(get("/healthz")).status == 200);
  CHECK(fresh.ended());
  CHECK(used.ended());
  CHECK_FALSE(waiting.readable(100));
  request.reply(echo(request));
  CHECK(waiting.read().body == "x");
}

TEST_CASE_FIXTURE(Fixture, "a client that does not take its answers is closed") {
  config.set_write_timeout_ms(40);
  start();
  auto c = client();
  for (int i = 0; i < 16; ++i) REQUIRE(c.send(bid("x")));
  for (int i = 0; i < 16; ++i) agents.take().reply(RawReply::document(std::string(1 << 20, 'y')));
  await_connections(metrics, 0);
}

TEST_CASE_FIXTURE(Fixture, "a connection over the limit is told so, and room is given back") {
  config.set_max_connections(2);
  config.set_threads(2);
  start();
  auto one = client(), two = client();
  CHECK(one.ask(get("/healthz")).status == 200);
  CHECK(two.ask(get("/healthz")).status == 200);
  auto three = client();
  REQUIRE(three.send(get("/healthz")));
  const auto refused = three.read();
  CHECK(refused.status == 503);
  CHECK(refused.field("retry-after") == "1");
  CHECK(refused.field("connection") == "close");
  CHECK(three.ended());
  CHECK(metric(metrics, "cx_http_connections_refused_total") == 1);
  one.close();
  await_connections(metrics, 1);
  auto four = client();
  CHECK(four.ask(get("/healthz")).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "running out of file descriptors is survived") {
  start();
  CHECK(client().ask(get("/healthz")).status == 200);
  await_connections(metrics, 0);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const int next = ::dup(0);
  ::close(next);
  const rlimit low{static_cast<rlim_t>(next) + 1, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  auto c = client();  // takes the last one
  CHECK(c.send(get("/healthz")));
  CHECK_FALSE(c.readable(120));
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(c.read().status == 200);
}

TEST_CASE_FIXTURE(Fixture, "clients that vanish at any moment leave nothing behind") {
  config.set_threads(2);
  start();
  std::vector<RawRequest> pending;
  for (int i = 0; i < 50; ++i) {
    auto c = client();
    REQUIRE(c.send(bid("x") + "POST /v1/b"));
    pending.push_back(agents.take());
    if (i % 2 == 0) c.reset();
  }
  std::thread agent([&] {
    for (auto& request : pending) request.reply(echo(request));
  });
  agent.join();
  await_connections(metrics, 0);
  CHECK(client().ask(get("/healthz")).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "draining finishes what is under way and closes the rest") {
  config.set_threads(2);
  start();
  auto idle = client(), busy = client(), arriving = client();
  CHECK(idle.ask(get("/healthz")).status == 200);
  REQUIRE(busy.send(bid("1") + bid("2")));
  auto first = agents.take(), second = agents.take();
  REQUIRE(arriving.send("GET /readyz HTTP/1.1\r\nHost: "));
  auto probe = client();  // served after `arriving` by either thread: both have read what was sent
  CHECK(probe.ask(get("/healthz")).status == 200);
  CHECK(client().ask(get("/healthz")).status == 200);
  std::thread drainer([this] { server->drain(std::chrono::seconds(20)); });
  CHECK(idle.ended());
  REQUIRE(arriving.send("test\r\n\r\n"));
  const auto not_ready = arriving.read();
  CHECK(not_ready.status == 503);
  CHECK(not_ready.field("connection") == "close");
  second.reply(echo(second));
  first.reply(echo(first));
  CHECK(busy.read().field("connection").empty());
  const auto last = busy.read();
  CHECK(last.body == "2");
  CHECK(last.field("connection") == "close");
  CHECK(busy.ended());
  busy.close();
  arriving.close();
  drainer.join();
  CHECK(metric(metrics, "cx_http_connections") == 0);
}

TEST_CASE_FIXTURE(Fixture, "draining gives up after its grace, and a late answer goes nowhere") {
  start();
  auto c = client();
  REQUIRE(c.send(bid("x")));
  auto request = agents.take();
  server->drain(std::chrono::milliseconds(20));
  CHECK(metric(metrics, "cx_http_connections") == 1);
  server.reset();
  CHECK(c.ended());
  request.reply(echo(request));
}

TEST_CASE_FIXTURE(Fixture, "a port in use, or an address of another host, is explained") {
  start();
  config.set_port(server->port());
  const auto taken = Server(config, contract, door.door, metrics, [] { return true; }).start();
  REQUIRE(!taken);
  CHECK(taken.error().detail.find("127.0.0.1:" + std::to_string(server->port())) != std::string::npos);
  CHECK(taken.error().detail.find("--http-port") != std::string::npos);
  config.set_host("192.0.2.1");
  const auto foreign = Server(config, contract, door.door, metrics, [] { return true; }).start();
  REQUIRE(!foreign);
  CHECK(foreign.error().detail.find("--http-host") != std::string::npos);
}

}  // namespace cx::http
