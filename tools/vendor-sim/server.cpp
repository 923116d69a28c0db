#include "tools/vendor-sim/server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <cstdio>
#include <exception>
#include <fmt/format.h>
#include <thread>

#include "tools/vendor-sim/listen.hpp"
#include "tools/vendor-sim/simulator.hpp"

namespace cx::vendor_sim {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

/// A connection; lives as long as something of it is under way.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const Server::Handler& handle)
      : socket_(std::move(socket)), handle_(handle), timer_(socket_.get_executor()) {}

  void read() {
    parser_.emplace();
    parser_->body_limit(Simulator::kMostBody);
    http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error == http::error::body_limit) return self->refuse();
      if (!error) self->answer();
    });
  }

 private:
  void answer() {
    answer_ = handle_(parser_->get());
    auto& response = answer_.response;
    response.version(11);
    response.keep_alive(parser_->get().keep_alive());
    response.prepare_payload();
    if (answer_.way == Answer::Way::hang) return hang();
    if (answer_.delay.count() == 0 || answer_.way == Answer::Way::slow) return send();
    timer_.expires_after(answer_.delay);
    timer_.async_wait([self = shared_from_this()](error_code) { self->send(); });
  }

  void send() {
    if (answer_.way == Answer::Way::reset) return reset();
    if (answer_.way == Answer::Way::slow) return trickle();
    if (answer_.way == Answer::Way::cut) return cut();
    http::async_write(socket_, answer_.response, [self = shared_from_this()](error_code error, std::size_t) {
      if (!error && self->answer_.response.keep_alive()) self->read();
    });
  }

  /// Ends the connection so that the other side sees an error, not an end.
  void reset() {
    error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }

  /// Until the other side gives up.
  void hang() {
    socket_.async_read_some(asio::buffer(&scrap_, 1),
                            [self = shared_from_this()](error_code, std::size_t) {});
  }

  void refuse() {
    answer_.response.result(413);
    answer_.response.version(11);
    answer_.response.keep_alive(false);
    answer_.response.prepare_payload();
    send();
  }

  void write_head() {
    head_ = fmt::format("HTTP/1.1 {} Told\r\n", answer_.response.result_int());
    for (const auto& field : answer_.response) {
      const auto name = field.name_string(), value = field.value();
      head_.append(name.data(), name.size()).append(": ").append(value.data(), value.size()).append("\r\n");
    }
    head_ += "\r\n";
  }

  /// The head and half of the body.
  void cut() {
    write_head();
    head_.append(answer_.response.body(), 0, answer_.response.body().size() / 2);
    asio::async_write(socket_, asio::buffer(head_), [self = shared_from_this()](error_code, std::size_t) {
      error_code ignored;
      self->socket_.shutdown(tcp::socket::shutdown_both, ignored);
    });
  }

  /// The head at once, then the body byte by byte.
  void trickle() {
    write_head();
    asio::async_write(socket_, asio::buffer(head_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (!error) self->drip(0);
                      });
  }
  void drip(std::size_t at) {
    const auto& body = answer_.response.body();
    if (at == body.size()) return read();
    timer_.expires_after(answer_.delay / static_cast<int>(body.size()));
    timer_.async_wait([self = shared_from_this(), at](error_code) {
      asio::async_write(self->socket_, asio::buffer(&self->answer_.response.body()[at], 1),
                        [self, at](error_code error, std::size_t) {
                          if (!error) self->drip(at + 1);
                        });
    });
  }

  tcp::socket socket_;
  const Server::Handler& handle_;
  asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  Answer answer_;
  std::string head_;
  char scrap_ = 0;
};

}  // namespace

struct Server::Parts {
  Parts(std::string h, std::uint16_t p, Handler f) : host(std::move(h)), port(p), handle(std::move(f)) {}

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) {
        error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        std::make_shared<Session>(std::move(socket), handle)->read();
      }
      accept();
    });
  }

  const std::string host;
  const std::uint16_t port;
  const Handler handle;
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  std::thread thread;
};

Server::Server(const Options& options)
    : Server(options.host, options.port,
             [simulator = std::make_shared<Simulator>(options)](const Request& request) {
               return simulator->handle(request);
             }) {}
Server::Server(std::string host, std::uint16_t port, Handler handle)
    : parts_(std::make_unique<Parts>(std::move(host), port, std::move(handle))) {}
Server::~Server() {
  stop();
}

Result<std::uint16_t> Server::start() {
  auto& p = *parts_;
  const auto port = listen(p.acceptor, p.host, p.port, "--port");
  if (!port) return port;
  p.accept();
  p.thread = std::thread([&p] {
    try {
      p.context.run();
    } catch (const std::exception& e) {  // a witness that cannot write is none
      fmt::print(stderr, "cx-vendor-sim: {}\n", e.what());
      std::abort();
    }
  });
  return port;
}

void Server::stop() {
  parts_->context.stop();
  if (parts_->thread.joinable()) parts_->thread.join();
}

}  // namespace cx::vendor_sim
