#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "gateways/http/server.hpp"
#include "library.pb.h"
#include "runtime/raw.hpp"
#include "tests/gateways/fake_door.hpp"
#include "tests/gateways/fake_services.hpp"

struct ssl_ctx_st;
struct ssl_st;

namespace cx::http {

struct Response {
  int status = 0;
  std::map<std::string, std::string> fields;  ///< names in lower case; values of one name joined by ", "
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
  /// Over TLS; the handshake is part of the first send().
  Client(std::uint16_t port, ssl_ctx_st* context);
  Client(Client&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        ssl_(std::exchange(other.ssl_, nullptr)),
        input_(std::move(other.input_)) {}
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
  ssl_st* ssl() const { return ssl_; }

 private:
  bool receive();
  int fd_;
  ssl_st* ssl_ = nullptr;
  std::string input_;
};

std::string get(const std::string& path, const std::string& fields = "");
std::string bid(const std::string& body, const std::string& fields = "");
/// Any request with a body.
std::string with_body(const std::string& verb, const std::string& path, const std::string& body,
                      const std::string& fields = "");
/// Whether it is a problem document of this type.
bool is_problem(const Response& response, int status, const std::string& type);

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

/// A library whose answers the test decides: by default a book whose title is the request in text. Keeps what
/// it was asked.
struct Library {
  explicit Library(Services& services);
  /// The last request, and what came with it.
  template <class Request>
  Request asked() {
    const std::lock_guard lock(mutex);
    return dynamic_cast<const Request&>(*request);
  }
  CallContext called() {
    const std::lock_guard lock(mutex);
    return call;
  }

  std::function<Services::Reply(const Services::Message&)> answer;  ///< set before the server starts
  std::mutex mutex;
  std::shared_ptr<const Services::Message> request;
  CallContext call;
};

/// A server with short timeouts off, one thread, a free port, and a door open to everybody; change `config`
/// before start().
struct Fixture {
  Fixture();
  Client client() { return Client(server->port()); }
  /// Makes the server, which `add` may add pages to, and starts it.
  void start(const std::function<void(Server&)>& add = {});

  v1::HttpConfig config;
  Services services;
  FakeAgents agents;
  test::FakeServices methods{services};
  Library library{services};
  test::FakeDoor door;
  std::vector<Method> contract;
  Metrics metrics{"test"};
  std::atomic<bool> ready{true};
  std::unique_ptr<Server> server;
};

}  // namespace cx::http
