#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "gateways/nats/gateway.hpp"
#include "gateways/nats/queue.hpp"
#include "runtime/nats/jetstream.hpp"
#include "tests/gateways/fake_door.hpp"
#include "tests/gateways/http/fixture.hpp"
#include "tests/nats/nats_server.hpp"

namespace cx::nats_gateway {

/// What came back; status 0 for nothing at all, with the connection's error as the payload.
struct Reply {
  int status = 0;
  nats::Headers headers;
  std::string payload;
  std::string header(const std::string& name) const;
  /// Whether it is a problem document of this type.
  bool is_problem(int status, const std::string& type) const;
};
Reply reply_of(const Result<nats::Received>& received);

/// Asks `met` until it is true, 30 seconds at most.
bool becomes(const std::function<bool()>& met);

inline nats::Headers good(nats::Headers more = {}) {
  more.emplace_back("Authorization", "Bearer good");
  return more;
}

std::unique_ptr<nats::Connection> connect(const test::NatsServer& server);

/// What one node serves with; change `config` before start().
struct Node {
  Node(const test::NatsServer& server, std::string prefix);
  void start();
  /// A reading of the metric of that name.
  double metric(const std::string& name);

  v1::NodeConfig config;
  std::unique_ptr<nats::Connection> connection;
  Services services;
  http::FakeAgents agents, tracks;
  test::FakeServices methods{services};
  http::Library library{services};
  test::FakeDoor door;
  std::vector<Method> contract;
  Metrics metrics{"test"};
  std::atomic<bool> ready{true};
  std::unique_ptr<Gateway> gateway;
};

/// A server for all tests of the process, subjects of one's own, a node, and a client.
struct Fixture {
  Fixture();
  static test::NatsServer& server();
  void start() { node.start(); }
  std::string subject(const std::string& words, const std::string& tenant = "demo") const {
    return prefix + "." + tenant + "." + words;
  }
  /// Asks as somebody who may do everything.
  Reply ask(const std::string& words, const std::string& payload, nats::Headers headers = {}) {
    return ask_as("Bearer good", subject(words), payload, std::move(headers));
  }
  Reply ask_as(const std::string& authorization, const std::string& at, const std::string& payload,
               nats::Headers headers = {});

  const std::string prefix;
  Node node;
  std::unique_ptr<nats::Connection> client;
};

/// Collects what comes to a subject.
class Inbox {
 public:
  Inbox(nats::Connection& connection, std::string subject);
  /// The next; nothing after 30 seconds.
  Reply take();
  bool empty();
  const std::string subject;

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Reply> replies_;
  std::unique_ptr<nats::Subscription> subscription_;
};

}  // namespace cx::nats_gateway
