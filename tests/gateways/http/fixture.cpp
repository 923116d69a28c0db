#include "fixture.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
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

Client::Client(std::uint16_t port, ssl_ctx_st* context) : Client(port) {
  ssl_ = SSL_new(context);
  SSL_set_fd(ssl_, fd_);
  SSL_set_connect_state(ssl_);
}

bool Client::send(const std::string& bytes) {
  if (ssl_ != nullptr) return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0;
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
  const auto n = ssl_ != nullptr ? SSL_read(ssl_, bytes, sizeof bytes) : ::recv(fd_, bytes, sizeof bytes, 0);
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
    auto& value = response.fields[name];
    (value += value.empty() ? "" : ", ") += input_.substr(colon + 2, eol - colon - 2);
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
  if (ssl_ != nullptr) return SSL_read(ssl_, &byte, 1) <= 0;
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
  SSL_free(std::exchange(ssl_, nullptr));
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

std::string with_body(const std::string& verb, const std::string& path, const std::string& body,
                      const std::string& fields) {
  return verb + " " + path + " HTTP/1.1\r\nHost: test\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

bool is_problem(const Response& response, int status, const std::string& type) {
  INFO(response.status, " ", response.body);
  const bool right = response.status == status &&
                     response.field("content-type") == "application/problem+json" &&
                     response.body.find("\"type\":\"/problems/" + type + "\"") != std::string::npos;
  CHECK(right);  // here, where what came instead is shown
  return right;
}

Library::Library(Services& services) {
  for (const auto* name : {"GetBook", "ListBooks", "CreateBook", "UpdateBook", "DeleteBook", "LendBook",
                           "TurnPage", "ExportBooks", "Hours"})
    services.add(
        std::string("cx.test.http.Library.") + name,
        Services::Unary([this](const CallContext& c, const auto& r, const Services::Respond& respond) {
          {
            const std::lock_guard lock(mutex);
            request = r;
            call = c;
          }
          if (answer) return respond(answer(*r));
          auto book = std::make_shared<test::http::Book>();
          book->set_title(r->ShortDebugString());
          respond({std::move(book)});
        }));
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
  door.authenticator.open = true;
}

void Fixture::start(const std::function<void(Server&)>& add) {
  auto descriptors = contract_services();
  descriptors.push_back(test::http::Book::descriptor()->file()->FindServiceByName("Library"));
  contract = methods_of(descriptors, services);
  server = std::make_unique<Server>(config, contract, door.door, metrics, [this] { return ready.load(); });
  if (add) add(*server);
  const auto port = server->start();
  REQUIRE_MESSAGE(port, port.error().detail);
}

}  // namespace cx::http
