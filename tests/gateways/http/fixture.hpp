#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "gateways/http/server.hpp"
#include "runtime/raw.hpp"
#include "tests/gateways/fake_services.hpp"

namespace cx::http {

struct Response {
  int status = 0;
  std::map<std::string, std::string> fields;  ///< names in lower case
  std::string body;
  std::string field(const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

/// A blocking client on loopback. Waits ten seconds at most; then, and at the end of the stream, status is 0.
class Client {
 public:
  explicit Client(std::uint16_t port);
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)), input_(std::move(other.input_)) {}
  ~Client() { close(); }

  /// False once the server has closed.
  bool send(const std::string& bytes);
  Response read(bool without_body = false);
  Response ask(const std::string& bytes) { return send(bytes) ? read() : Response{}; }
  /// True if the stream ends, in order or by a reset, with nothing more to read.
  bool ended();
  bool readable(int milliseconds) const;
  void finish_sending();
  void close();
  /// Closes with a reset.
  void reset();

 private:
  bool receive();
  int fd_;
  std::string input_;
};

std::string get(const std::string& path, const std::string& fields = "");
std::string bid(const std::string& body, const std::string& fields = "");

/// Agents played by the test: answers at once, or keeps requests until the test takes them.
class FakeAgents final : public RawTarget {
 public:
  bool post(RawRequest& request) override;
  /// The oldest request that is waiting.
  RawRequest take();
  std::size_t waiting();

  std::function<void(RawRequest)> at_once;  ///< set before the server starts
  std::atomic<bool> refuse{false};

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<RawRequest> requests_;
};

/// A server with short timeouts off, one thread and a free port; change `config` before start().
struct Fixture {
  Fixture();
  Client client() { return Client(server->port()); }
  void start();

  v1::HttpConfig config;
  Services services;
  FakeAgents agents;
  test::FakeServices methods{services};
  Metrics metrics{"test"};
  std::atomic<bool> ready{true};
  std::unique_ptr<Server> server;
};

}  // namespace cx::http
