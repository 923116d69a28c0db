#include "fixture.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cx::http {

Client::Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval patience{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

bool Client::send(const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const auto n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

bool Client::receive() {
  char bytes[16384];
  const auto n = ::recv(fd_, bytes, sizeof bytes, 0);
  if (n > 0) input_.append(bytes, static_cast<std::size_t>(n));
  return n > 0;
}

Response Client::read(bool without_body) {
  std::size_t end;
  while ((end = input_.find("\r\n\r\n")) == input_.npos)
    if (!receive()) return {};
  Response response;
  response.status = std::stoi(input_.substr(9, 3));
  for (auto at = input_.find("\r\n") + 2; at < end + 2;) {
    const auto eol = input_.find("\r\n", at), colon = input_.find(": ", at);
    auto name = input_.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    response.fields[name] = input_.substr(colon + 2, eol - colon - 2);
    at = eol + 2;
  }
  input_.erase(0, end + 4);
  const auto length = response.field("content-length");
  const std::size_t size = without_body || length.empty() ? 0 : std::stoul(length);
  while (input_.size() < size)
    if (!receive()) return {};
  response.body = input_.substr(0, size);
  input_.erase(0, size);
  return response;
}

bool Client::ended() {
  if (!input_.empty()) return false;
  char byte;
  const auto n = ::recv(fd_, &byte, 1, 0);
  return n == 0 || (n < 0 && errno == ECONNRESET);
}

bool Client::readable(int milliseconds) const {
  pollfd watched{fd_, POLLIN, 0};
  return ::poll(&watched, 1, milliseconds) == 1;
}

void Client::finish_sending() {
  ::shutdown(fd_, SHUT_WR);
}

void Client::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Client::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

std::string get(const std::string& path, const std::string& fields) {
  return "GET " + path + " HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n";
}

std::string bid(const std::string& body, const std::string& fields) {
  return "POST /v1/bid HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

bool FakeAgents::post(RawRequest& request) {
  if (refuse) return false;
  if (at_once) {
    at_once(std::move(request));
    return true;
  }
  const std::lock_guard lock(mutex_);
  requests_.push_back(std::move(request));
  arrived_.notify_one();
  return true;
}

RawRequest FakeAgents::take() {
  std::unique_lock lock(mutex_);
  REQUIRE(arrived_.wait_for(lock, std::chrono::seconds(10), [this] { return !requests_.empty(); }));
  auto request = std::move(requests_.front());
  requests_.pop_front();
  return request;
}

std::size_t FakeAgents::waiting() {
  const std::lock_guard lock(mutex_);
  return requests_.size();
}

Fixture::Fixture() {
  config.set_host("127.0.0.1");
  config.set_threads(1);
  config.set_max_connections(100);
  config.set_max_body(2 << 20);
  config.set_read_timeout_ms(60000);
  config.set_idle_timeout_ms(60000);
  config.set_write_timeout_ms(60000);
  config.set_max_pipeline(64);
  services.add("bid-agent", &agents);
}

void Fixture::start() {
  server = std::make_unique<Server>(config, services, metrics, [this] { return ready.load(); });
  const auto port = server->start();
  REQUIRE_MESSAGE(port, port.error().detail);
}

}  // namespace cx::http
