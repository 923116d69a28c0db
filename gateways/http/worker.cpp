#include "gateways/http/worker.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <ctime>

#include "gateways/http/connection.hpp"

namespace cx::http {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

/// A tenth of a second; finer when a timeout is shorter than a second.
milliseconds sweep_period(const v1::HttpConfig& config) {
  const auto shortest =
      std::min({config.read_timeout_ms(), config.idle_timeout_ms(), config.write_timeout_ms()});
  return milliseconds(std::clamp<std::uint32_t>(shortest / 10, 2, 100));
}

/// IMF-fixdate (RFC 9110, section 5.6.7).
std::string http_date(std::time_t now) {
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

}  // namespace

Worker::Worker(std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)), period_(sweep_period(shared_->config)) {}

Worker::~Worker() = default;

template <class Visit>
void Worker::for_each_connection(Visit visit) {
  for (auto it = connections_.begin(); it != connections_.end();) {
    const auto connection = *it++;  // the visit may close it
    visit(*connection);
  }
}

void Worker::run() {
  tick();
  io_.run();
}

void Worker::tick() {
  if (const auto now = std::time(nullptr); now != date_second_) date_ = http_date(date_second_ = now);
  const auto now = std::chrono::steady_clock::now();
  for_each_connection([now](Connection& connection) { connection.sweep(now); });
  if (shared_->tls) shared_->tls->refresh(now);
  timer_.expires_after(period_);
  timer_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec && !stopped_) tick();
  });
}

void Worker::stop() {
  asio::post(io_, [this] {
    stopped_ = true;
    timer_.cancel();
    for_each_connection([](Connection& connection) { connection.close(); });
    std::vector<Delivery> rest;
    const std::lock_guard lock(inbox_mutex_);
    inbox_closed_ = true;
    rest.swap(inbox_);
  });
}

void Worker::drain() {
  asio::post(io_, [this] { for_each_connection([](Connection& connection) { connection.drain(); }); });
}

void Worker::adopt(asio::ip::tcp::socket socket, bool over_limit) {
  if (stopped_) return;
  auto tls = shared_->tls ? shared_->tls->accept() : nullptr;
  const auto connection =
      std::make_shared<Connection>(shared_from_this(), std::move(socket), std::move(tls), over_limit);
  connections_.push_back(connection);
  connection->start(std::prev(connections_.end()));
}

void Worker::forget(Connection& connection) {
  --(connection.over_limit() ? shared_->turned_away : shared_->open);
  connections_.erase(connection.place());
  if (!shared_->draining) return;
  const std::lock_guard lock(shared_->mutex);
  shared_->all_closed.notify_all();
}

void Worker::deliver(std::shared_ptr<Connection> connection, Exchange& exchange, RawReply reply) {
  {
    const std::lock_guard lock(inbox_mutex_);
    if (inbox_closed_) return;
    inbox_.push_back({std::move(connection), &exchange, std::move(reply)});
    if (inbox_.size() > 1) return;  // empty_inbox() is on its way
  }
  asio::post(io_, [this] { empty_inbox(); });
}

void Worker::empty_inbox() {
  {
    const std::lock_guard lock(inbox_mutex_);
    batch_.swap(inbox_);
  }
  // All answers first: those of one connection then leave in one write.
  for (auto& [connection, exchange, reply] : batch_) exchange->answer(std::move(reply));
  for (auto& delivery : batch_) delivery.connection->advance();
  batch_.clear();
}

}  // namespace cx::http
