#include "gateways/http/server.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <spdlog/spdlog.h>
#include <thread>
#include <vector>

#include "gateways/http/pages.hpp"
#include "gateways/http/worker.hpp"

namespace cx::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {

constexpr std::uint32_t kMaxTurnedAway = 256;  // told so at once; more are closed without a word
constexpr auto kAcceptRetry = milliseconds(50);

Error cannot_listen(const v1::HttpConfig& config, const error_code& ec) {
  std::string advice = "check --http-host and --http-port";
  if (ec == asio::error::address_in_use)
    advice = "stop what has that port, or choose another with --http-port (0 takes a free one)";
  if (ec == asio::error::access_denied) advice = "choose a port of 1024 or above with --http-port";
  if (ec == std::errc::address_not_available) advice = "choose an address of this host with --http-host";
  return {Code::unavailable, "cannot-listen",
          fmt::format("Cannot listen for HTTP on {}:{}: {}; {}.", config.host(), config.port(), ec.message(),
                      advice),
          ""};
}

}  // namespace

class Server::Impl {
 public:
  Impl(const v1::HttpConfig& config, std::span<const Method> methods, const Door& door, Metrics& metrics,
       ReadyCheck ready)
      : shared_(std::make_shared<Shared>(config, methods, door, metrics)) {
    add_own_endpoints(metrics, std::move(ready));
    metrics.gauge("cx_http_connections", "Connections open.", [s = shared_] { return s->open.load(); });
    metrics.counter("cx_http_connections_refused_total",
                    "Connections over the limit, answered 503 or closed.",
                    [s = shared_] { return static_cast<double>(s->refused.value()); });
    for (std::uint32_t i = 0; i < config.threads(); ++i)
      workers_.push_back(std::make_shared<Worker>(shared_));
  }

  ~Impl() {
    stop_accepting();
    for (const auto& worker : workers_) worker->stop();
    for (auto& thread : threads_) thread.join();
  }

  Result<std::uint16_t> start() {
    const auto& config = shared_->config;
    if (config.has_tls() && !config.tls().certificate().empty()) {
      auto tls = TlsContext::load(config.tls());
      if (!tls) return tls.error();
      shared_->tls = std::move(*tls);
    }
    auto& io = workers_.front()->io();
    error_code ec;
    const auto found =
        tcp::resolver(io).resolve(config.host(), std::to_string(config.port()), tcp::resolver::passive, ec);
    if (ec) return cannot_listen(config, ec);
    const tcp::endpoint endpoint = *found.begin();
    tcp::acceptor acceptor(io);
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) return cannot_listen(config, ec);
    port_ = acceptor.local_endpoint().port();
    acceptor_.emplace(std::move(acceptor));
    accept_retry_.emplace(io);
    accept();
    for (const auto& worker : workers_) threads_.emplace_back([worker] { worker->run(); });
    return port_;
  }

  std::uint16_t port() const { return port_; }
  Router& router() { return shared_->router; }

  void drain(milliseconds grace) {
    shared_->draining = true;
    stop_accepting();
    for (const auto& worker : workers_) worker->drain();
    std::unique_lock lock(shared_->mutex);
    shared_->all_closed.wait_for(lock, grace,
                                 [this] { return shared_->open == 0 && shared_->turned_away == 0; });
  }

 private:
  void add_own_endpoints(Metrics& metrics, ReadyCheck ready) {
    auto& router = shared_->router;
    const auto add = [&router](const char* path, const char* type, std::function<RawReply()> make) {
      router.add(
          path, type, [make = std::move(make)](Encoding) { return make(); }, path);
    };
    add("/healthz", "text/plain", [] { return RawReply::document("ok\n"); });
    add("/readyz", "text/plain", [ready = std::move(ready), &draining = shared_->draining] {
      if (draining || !ready())
        return RawReply::failure(
            {Code::unavailable, "not-ready", "This node is starting or draining; use another one.", ""});
      return RawReply::document("ready\n");
    });
    add("/metrics", "text/plain; version=0.0.4; charset=utf-8",
        [&metrics] { return RawReply::document(metrics.prometheus_text()); });
    add_problems(router);
  }

  void stop_accepting() {
    asio::post(workers_.front()->io(), [this] {
      if (!acceptor_) return;
      error_code ignored;
      acceptor_->close(ignored);
      accept_retry_->cancel();
    });
  }

  void accept() {
    auto& worker = workers_[next_++ % workers_.size()];
    acceptor_->async_accept(worker->io(), [this, &worker](const error_code& ec, tcp::socket socket) {
      if (!acceptor_->is_open()) return;
      if (!ec) {
        accept_failing_ = false;
        admit(*worker, std::move(socket));
      } else if (ec != asio::error::connection_aborted) {
        if (!accept_failing_) spdlog::warn("http: cannot accept connections: {}; trying on", ec.message());
        accept_failing_ = true;
        accept_retry_->expires_after(kAcceptRetry);
        return accept_retry_->async_wait([this](const error_code& cancelled) {
          if (!cancelled && acceptor_->is_open()) accept();
        });
      }
      accept();
    });
  }

  void admit(Worker& worker, tcp::socket socket) {
    const bool over_limit = shared_->open >= shared_->config.max_connections();
    if (over_limit) {
      shared_->refused.add();
      if (shared_->turned_away >= kMaxTurnedAway) return;
    }
    ++(over_limit ? shared_->turned_away : shared_->open);
    asio::post(worker.io(), [&worker, s = std::move(socket), over_limit]() mutable {
      worker.adopt(std::move(s), over_limit);
    });
  }

  const std::shared_ptr<Shared> shared_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::uint16_t port_ = 0;
  // Of the first worker's thread.
  std::optional<tcp::acceptor> acceptor_;
  std::optional<asio::steady_timer> accept_retry_;
  std::size_t next_ = 0;
  bool accept_failing_ = false;
};

Server::Server(const v1::HttpConfig& config, std::span<const Method> methods, const Door& door,
               Metrics& metrics, ReadyCheck ready)
    : impl_(std::make_unique<Impl>(config, methods, door, metrics, std::move(ready))) {}
Server::~Server() = default;
void Server::add(const std::string& path, Document document) {
  impl_->router().add(path, document.content_type, page_of(document), path);
}
void Server::add(const std::string& path, std::string content_type, std::function<RawReply()> make) {
  impl_->router().add(
      path, std::move(content_type), [make = std::move(make)](Encoding) { return make(); }, path);
}
Result<std::uint16_t> Server::start() {
  return impl_->start();
}
std::uint16_t Server::port() const {
  return impl_->port();
}
void Server::drain(milliseconds grace) {
  impl_->drain(grace);
}

}  // namespace cx::http
