#pragma once

// Internal to this folder: includes Asio and Beast.

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "gateways/http/exchange.hpp"
#include "gateways/http/request_parser.hpp"
#include "gateways/http/tls.hpp"
#include "gateways/http/worker.hpp"

namespace cx::http {

/// One client. It lives on its worker's thread and needs no lock; only Exchange::deliver is called from
/// others.
///
/// Requests are parsed one after the other, up to max_pipeline under way; answers arrive in any order and
/// leave in that of the requests, as many in one write as are ready. Every event ends in advance(), which
/// does whatever has become possible: parse, write, read on, or finish. Owned by its worker until closed,
/// then by answers still to come.
///
/// With TLS the same bytes take a turn through a TlsSession: on their way in in unseal(), out in write().
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Place = std::list<std::shared_ptr<Connection>>::iterator;

  /// `tls` is null where none is spoken.
  Connection(std::shared_ptr<Worker> worker, Socket socket, std::unique_ptr<TlsSession> tls, bool over_limit);

  void start(Place place);
  void advance();
  /// Enforces the timeouts.
  void sweep(SteadyTime now);
  /// Takes no further request and closes after the last answer.
  void drain();
  void close();

  Worker& worker() { return *worker_; }
  Place place() const { return place_; }
  bool over_limit() const { return over_limit_; }

 private:
  enum class State { serving, lingering, closed };

  void read();
  void on_read(const boost::system::error_code& ec, std::size_t size);
  void on_end();
  /// Moves what TLS has decrypted to the parser's input; false if there was nothing.
  bool unseal();
  /// Encrypts what is about to be written.
  void seal();
  /// Sends what fits, as the last thing, and does not wait.
  void send_and_forget();
  void parse();
  void dispatch();
  void write();
  void on_written(const boost::system::error_code& ec);
  void serialise(Exchange& exchange);
  void linger();

  Exchange& begin_exchange();
  /// Answers what never became a request, as the last thing on this connection.
  void fail(int status, std::string type, std::string detail);
  bool full() const { return pending_.size() >= worker_->shared().config.max_pipeline(); }

  const std::shared_ptr<Worker> worker_;  // first: it owns the socket's io_context
  Socket socket_;
  std::unique_ptr<TlsSession> tls_;
  Place place_;
  const bool over_limit_;
  State state_ = State::serving;
  bool reading_ = false, writing_ = false, advancing_ = false;
  bool last_ = false;       // no further request will be taken
  bool peer_done_ = false;  // the client has shut down its side
  SteadyTime idle_since_, begun_at_, write_since_, linger_until_;

  boost::beast::flat_buffer in_;
  std::optional<RequestParser> parser_;  // of the request that has begun to arrive
  Request request_;

  std::list<Exchange> pending_;  // in order of the requests
  std::string out_;              // what is being written
};

}  // namespace cx::http
