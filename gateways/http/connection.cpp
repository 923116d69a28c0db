#include "gateways/http/connection.hpp"

#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <spdlog/spdlog.h>

#include "gateways/http/dispatch.hpp"
#include "gateways/http/response.hpp"
#include "gateways/metadata.hpp"

namespace cx::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kInputLimit = 2 * kHeaderLimit;
constexpr std::size_t kReadSize = 4 * 1024, kBodyReadSize = 16 * 1024;
constexpr std::size_t kKeptOutput = 64 * 1024;     // capacity that an output buffer keeps between writes
constexpr std::size_t kUnaskedOutput = 64 * 1024;  // of TLS, not of answers, that may wait for the client
constexpr auto kLinger = milliseconds(1000);

thread_local const Connection* t_dispatching = nullptr;

}  // namespace

void Exchange::deliver(RawReply r) noexcept {
  try {
    encode(r, content_type, accepts, worth_encoding);
  } catch (const std::exception& e) {
    spdlog::error("http: a reply could not be compressed: {}", e.what());
    r = RawReply::failure({Code::internal, "internal", "The reply failed; the node's log says why.", ""});
  }
  if (t_dispatching == &connection)
    answer(std::move(r));  // advance() is running and goes on to write it
  else
    connection.worker().deliver(connection.shared_from_this(), *this, std::move(r));
}

Connection::Connection(std::shared_ptr<Worker> worker, Socket socket, std::unique_ptr<TlsSession> tls,
                       bool over_limit)
    : worker_(std::move(worker)),
      socket_(std::move(socket)),
      tls_(std::move(tls)),
      over_limit_(over_limit),
      in_(kInputLimit) {}

void Connection::start(Place place) {
  place_ = place;
  error_code ec;
  socket_.set_option(asio::ip::tcp::no_delay(true), ec);
  socket_.non_blocking(true, ec);
  if (ec || worker_->shared().draining) return close();
  idle_since_ = begun_at_ = steady_clock::now();
  if (over_limit_) {
    if (tls_) return close();  // shaking hands would cost more than there is
    auto& exchange = begin_exchange();
    exchange.request_id = request_id({}, worker_->shared().door.environment());
    exchange.refuse({Code::overloaded, "too-many-connections",
                     "This node serves as many connections as it may; retry in a second.", ""});
    last_ = true;
  }
  advance();
}

void Connection::advance() {
  if (advancing_ || state_ != State::serving) return;
  advancing_ = true;
  bool more = true;
  while (more) {
    parse();
    more = tls_ && unseal();  // after that: an end that it tells comes behind what was parsed
    const bool was_full = full();
    write();
    more = more || (was_full && !full());
  }
  advancing_ = false;
  if (state_ != State::serving) return;
  if (!last_ && !full()) return read();
  if (last_ && pending_.empty() && !writing_) linger();
}

void Connection::read() {
  if (reading_) return;
  reading_ = true;
  const auto on_read = [self = shared_from_this()](const error_code& ec, std::size_t n) {
    self->on_read(ec, n);
  };
  if (tls_) return socket_.async_read_some(asio::buffer(tls_->room()), on_read);
  const std::size_t wanted = parser_ && parser_->is_header_done() ? kBodyReadSize : kReadSize;
  const auto room = in_.prepare(std::min(wanted, kInputLimit - in_.size()));
  socket_.async_read_some(room, on_read);
}

void Connection::on_read(const error_code& ec, std::size_t size) {
  reading_ = false;
  if (state_ == State::closed) return;
  if (state_ == State::lingering)
    return ec ? close() : read();  // in_ stays empty: what arrives now is dropped
  if (ec == asio::error::eof) {
    on_end();
  } else if (ec) {
    spdlog::debug("http: reading failed: {}", ec.message());
    return close();
  } else if (!last_) {
    tls_ ? tls_->received(size) : in_.commit(size);
  }
  advance();
}

void Connection::on_end() {
  peer_done_ = true;
  if (parser_ && !last_)
    fail(400, "incomplete-request", "The connection ended before the request did; send it again.");
  last_ = true;
}

bool Connection::unseal() {
  if (reading_ || last_ || full() || state_ != State::serving) return false;
  bool any = false;
  while (in_.size() < kInputLimit) {
    const auto room = in_.prepare(std::min(kBodyReadSize, kInputLimit - in_.size()));
    const auto size = tls_->read(static_cast<char*>(room.data()), room.size());
    if (size == 0) break;
    in_.commit(size);
    any = true;
  }
  switch (tls_->state()) {
    case TlsSession::State::handshake:
    case TlsSession::State::open:
      if (writing_ && tls_->waiting() > kUnaskedOutput) close();
      break;
    case TlsSession::State::ended:
      if (!any) on_end();  // else the next time, when what came before it is parsed
      break;
    case TlsSession::State::plain_http:
      tls_.reset();
      fail(400, "tls-required", "This port speaks TLS; use https://.");
      break;
    case TlsSession::State::failed:
      if (!writing_) {
        out_.clear();
        seal();
        send_and_forget();
      }
      close();
  }
  return any;
}

void Connection::seal() {
  if (!out_.empty()) tls_->write(out_);
  tls_->take(out_);
}

void Connection::send_and_forget() {
  error_code ignored;
  if (!out_.empty()) socket_.write_some(asio::buffer(out_), ignored);
}

void Connection::parse() {
  if (reading_) return;  // nothing new, and the buffer belongs to the read
  while (!last_ && !full()) {
    if (!parser_) {
      // RFC 9112, section 2.2: tolerate empty lines before a request.
      const auto input = static_cast<const char*>(in_.data().data());
      std::size_t blank = 0;
      while (blank < in_.size() && (input[blank] == '\r' || input[blank] == '\n')) ++blank;
      in_.consume(blank);
      if (in_.size() == 0) return;
      parser_.emplace(request_, worker_->shared().config.max_body());
      begun_at_ = steady_clock::now();
    }
    error_code ec;
    in_.consume(parser_->put(in_.data(), ec));
    if (!ec && parser_->is_done()) {
      dispatch();
      continue;
    }
    const bool incomplete = !ec || ec == beast::http::error::need_more;
    if (incomplete && in_.size() < kInputLimit) {
      if (!request_.expect_continue || !parser_->is_header_done()) return;
      request_.expect_continue = false;
      auto& exchange = begin_exchange();
      exchange.interim = exchange.answered = true;
      return;
    }
    if (incomplete || ec == beast::http::error::header_limit)
      return fail(431, "header-too-large",
                  fmt::format("The request line and header exceed {} bytes; send fewer or shorter fields.",
                              kHeaderLimit));
    if (ec == beast::http::error::body_limit)
      return fail(413, "body-too-large",
                  fmt::format("The body exceeds {} bytes (http.max_body); send less at once.",
                              worker_->shared().config.max_body()));
    return fail(400, "malformed-request",
                "This is not an HTTP/1.1 request: " + ec.message() + ". See RFC 9112.");
  }
}

void Connection::dispatch() {
  auto& exchange = begin_exchange();
  if (!parser_->keep_alive() || worker_->shared().draining) last_ = true;
  parser_.reset();
  t_dispatching = this;
  http::dispatch(worker_->shared(), request_, tls_ ? tls_->subject() : std::string_view(), exchange,
                 std::shared_ptr<ReplySink>(shared_from_this(), &exchange));
  t_dispatching = nullptr;
}

void Connection::write() {
  if (writing_ || state_ != State::serving) return;
  out_.clear();
  const bool was_full = full();
  for (; !pending_.empty() && pending_.front().answered; pending_.pop_front()) serialise(pending_.front());
  if (tls_) seal();
  if (out_.empty()) return;
  const auto now = steady_clock::now();
  if (was_full) begun_at_ = now;  // until now it was we who did not read

  error_code ec;
  std::size_t sent = 0;
  while (!ec && sent < out_.size()) sent += socket_.write_some(asio::buffer(out_) + sent, ec);
  if (ec == asio::error::would_block) {
    writing_ = true;
    write_since_ = now;
    asio::async_write(socket_, asio::buffer(out_) + sent,
                      [self = shared_from_this()](const error_code& failed, std::size_t) {
                        self->writing_ = false;
                        self->on_written(failed);
                        self->advance();
                      });
    return;
  }
  on_written(ec);
}

void Connection::on_written(const error_code& ec) {
  if (state_ == State::closed) return;
  if (ec) {
    spdlog::debug("http: writing failed: {}", ec.message());
    return close();
  }
  idle_since_ = steady_clock::now();
  if (out_.capacity() > kKeptOutput) out_ = {};
}

void Connection::serialise(Exchange& exchange) {
  if (exchange.interim) {
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    return;
  }
  const bool close = last_ && pending_.size() == 1;
  const int status =
      append_response(out_, exchange, {worker_->date(), close, worker_->shared().origins.vary()});

  auto& probe = *exchange.probe;
  probe.requests.total.add();
  probe.outcome(status == 304 ? 200 : status).add();
  const auto took =
      std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now() - exchange.received);
  probe.latency.record(static_cast<std::uint64_t>(took.count()));
}

Exchange& Connection::begin_exchange() {
  auto& exchange = pending_.emplace_back(*this);
  exchange.received = steady_clock::now();
  exchange.probe = &worker_->shared().unrouted;
  return exchange;
}

void Connection::fail(int status, std::string type, std::string detail) {
  auto& exchange = begin_exchange();
  exchange.request_id = request_id({}, worker_->shared().door.environment());
  exchange.refuse(status, std::move(type), std::move(detail));
  last_ = true;
}

void Connection::sweep(SteadyTime now) {
  const auto& config = worker_->shared().config;
  const auto expired = [now](SteadyTime since, std::uint32_t ms) { return now - since > milliseconds(ms); };
  if (state_ == State::lingering) {
    if (now > linger_until_) close();
  } else if (tls_ && !tls_->established() && expired(begun_at_, config.read_timeout_ms())) {
    close();
  } else if (writing_ && expired(write_since_, config.write_timeout_ms())) {
    spdlog::debug("http: a client did not take its response within {} ms", config.write_timeout_ms());
    close();
  } else if (parser_ && !last_ && !full() && expired(begun_at_, config.read_timeout_ms())) {
    fail(408, "request-timeout",
         fmt::format("The request did not arrive within {} ms (http.read_timeout_ms); send it at once.",
                     config.read_timeout_ms()));
    advance();
  } else if (!parser_ && pending_.empty() && !writing_ && expired(idle_since_, config.idle_timeout_ms())) {
    close();
  }
}

void Connection::drain() {
  if (parser_) return;  // its request will be the last: see dispatch()
  if (pending_.empty() && !writing_) return close();
  last_ = true;
  advance();
}

// Closing at once with input unread would reset the connection, and the client might lose the response.
void Connection::linger() {
  if (tls_) {
    out_.clear();
    tls_->finish();
    seal();
    send_and_forget();
  }
  error_code ec;
  if (!peer_done_) socket_.shutdown(Socket::shutdown_send, ec);
  if (peer_done_ || ec) return close();
  state_ = State::lingering;
  linger_until_ = steady_clock::now() + kLinger;
  in_.clear();
  read();
}

void Connection::close() {
  if (state_ == State::closed) return;
  const auto self = shared_from_this();
  state_ = State::closed;
  error_code ignored;
  socket_.close(ignored);
  worker_->forget(*this);
}

}  // namespace cx::http
