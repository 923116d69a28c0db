// cx-bench-baseline: what our HTTP gateway is compared with. A bare Boost.Beast server that reads a request
// with its body and answers every one of them with the same JSON, in the plainest asynchronous way; no
// deadline, no routing.

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

// A JSON object of exactly `bytes` bytes; at least the empty one.
std::string document(std::size_t bytes) {
  const std::string before = R"({"fill":")", after = R"("})";
  if (bytes < before.size() + after.size()) return "{}";
  return before + std::string(bytes - before.size() - after.size(), 'x') + after;
}

// One connection. Keeps itself alive while an operation is under way.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const std::string& answer) : stream_(std::move(socket)), answer_(answer) {}

  void start() {
    beast::error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
    read();
  }

 private:
  void read() {
    request_ = {};
    http::async_read(stream_, buffer_, request_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->write();
                     });
  }

  void write() {
    response_ = {http::status::ok, request_.version()};
    response_.set(http::field::content_type, "application/json");
    response_.keep_alive(request_.keep_alive());
    response_.body() = answer_;
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error && self->response_.keep_alive()) self->read();
    });
  }

  beast::tcp_stream stream_;
  const std::string& answer_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

void accept(tcp::acceptor& acceptor, asio::io_context& io, const std::string& answer) {
  acceptor.async_accept(asio::make_strand(io), [&](beast::error_code error, tcp::socket socket) {
    if (!error) std::make_shared<Session>(std::move(socket), answer)->start();
    accept(acceptor, io, answer);
  });
}

}  // namespace

int main(int argc, char** argv) {
  unsigned threads = 1, bytes = 1024;
  std::uint16_t port = 0;
  CLI::App app{"Answers every HTTP request on loopback with one fixed JSON document."};
  app.add_option("--port", port, "Port; 0 takes a free one, which is printed")->capture_default_str();
  app.add_option("--threads", threads, "Threads")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--response-bytes", bytes, "Size of the document")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const std::string answer = document(bytes);
  try {
    asio::io_context io(static_cast<int>(threads));
    asio::signal_set stop(io, SIGINT, SIGTERM);
    stop.async_wait([&](beast::error_code, int) { io.stop(); });
    tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), port});
    accept(acceptor, io, answer);
    std::printf("listening on 127.0.0.1:%u\n", acceptor.local_endpoint().port());
    std::fflush(stdout);
    std::vector<std::thread> others;
    for (unsigned i = 1; i < threads; ++i) others.emplace_back([&] { io.run(); });
    io.run();
    for (std::thread& thread : others) thread.join();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cx-bench-baseline: cannot listen on 127.0.0.1:%u: %s; choose another --port.\n",
                 port, error.what());
    return 1;
  }
  return 0;
}
