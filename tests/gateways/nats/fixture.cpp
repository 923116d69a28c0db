#include "fixture.hpp"

#include <doctest/doctest.h>
#include <thread>

namespace cx::nats_gateway {

using std::chrono::seconds;

std::string Reply::header(const std::string& name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return "";
}

bool Reply::is_problem(int expected, const std::string& type) const {
  INFO(status, " ", payload);
  return status == expected && header("Content-Type") == "application/problem+json" &&
         payload.find("\"type\":\"/problems/" + type + "\"") != std::string::npos &&
         payload.find("\"instance\":\"" + header("X-Request-Id") + "\"") != std::string::npos;
}

Reply reply_of(const Result<nats::Received>& received) {
  if (!received) return {0, {}, received.error().type};
  Reply reply{0, received->headers, received->payload};
  const auto status = reply.header("Cx-Status");
  if (!status.empty()) reply.status = std::stoi(status);
  return reply;
}

bool becomes(const std::function<bool()>& met) {
  for (int i = 0; i < 3'000; ++i) {
    if (met()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

std::unique_ptr<nats::Connection> connect(const test::NatsServer& server) {
  auto opened = nats::Connection::open(server.config(), "test");
  REQUIRE_MESSAGE(opened, opened.error().detail);
  return std::move(*opened);
}

Node::Node(const test::NatsServer& server, std::string prefix) : connection(connect(server)) {
  auto& gate = *config.mutable_nats()->mutable_gateway();
  gate.set_prefix(std::move(prefix));
  gate.set_max_requests(1'000);
  config.mutable_nats()->set_replicas(1);
  config.mutable_nats()->set_timeout_ms(5'000);
  config.mutable_http()->set_max_body(100'000);
  config.mutable_bidding()->set_agents(4);
  config.mutable_bidding()->set_agent_credit(8);
  config.mutable_bidding()->set_default_tmax_ms(60'000);
  services.add("bid-agent", &agents);
  services.add("event-track", &tracks);
}

void Node::start() {
  auto descriptors = contract_services();
  descriptors.push_back(test::http::Book::descriptor()->file()->FindServiceByName("Library"));
  contract = methods_of(descriptors, services);
  gateway = std::make_unique<Gateway>(config, *connection, contract, door.door, metrics,
                                      [this] { return ready.load(); });
  const auto error = gateway->start();
  REQUIRE_MESSAGE(!error, error->detail);
}

double Node::metric(const std::string& name) {
  const auto text = metrics.prometheus_text();
  const auto at = text.find("\n" + name);
  if (at == text.npos) return -1;
  return std::stod(text.substr(text.find(' ', at)));
}

test::NatsServer& Fixture::server() {
  static test::NatsServer server;
  return server;
}

Fixture::Fixture()
    : prefix([] {
        static int last = 0;
        return "t" + std::to_string(++last);
      }()),
      node(server(), prefix),
      client(connect(server())) {}

Reply Fixture::ask_as(const std::string& authorization, const std::string& at, const std::string& payload,
                      nats::Headers headers) {
  if (!authorization.empty()) headers.emplace_back("Authorization", authorization);
  return reply_of(client->request(at, payload, headers, seconds(30)));
}

Inbox::Inbox(nats::Connection& connection, std::string s) : subject(std::move(s)) {
  auto subscribed = connection.subscribe(subject, "", [this](const nats::Incoming& in) {
    Reply reply{0, in.headers(), std::string(in.payload)};
    if (const auto status = reply.header("Cx-Status"); !status.empty()) reply.status = std::stoi(status);
    const std::lock_guard lock(mutex_);
    replies_.push_back(std::move(reply));
    arrived_.notify_one();
  });
  REQUIRE(subscribed);
  subscription_ = std::move(*subscribed);
}

Reply Inbox::take() {
  std::unique_lock lock(mutex_);
  if (!arrived_.wait_for(lock, seconds(30), [this] { return !replies_.empty(); })) return {};
  auto reply = std::move(replies_.front());
  replies_.pop_front();
  return reply;
}

bool Inbox::empty() {
  const std::lock_guard lock(mutex_);
  return replies_.empty();
}

}  // namespace cx::nats_gateway
