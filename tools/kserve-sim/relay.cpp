#include "tools/kserve-sim/relay.hpp"

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "tools/vendor-sim/listen.hpp"

namespace cx::kserve_sim {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// A connection and the one that it is passed on by. Ends when either does.
class Link : public std::enable_shared_from_this<Link> {
 public:
  Link(tcp::socket client, asio::io_context& context) : client_(std::move(client)), server_(context) {}

  void start(std::uint16_t target) {
    server_.async_connect({asio::ip::address_v4::loopback(), target},
                          [self = shared_from_this()](error_code error) {
                            if (error) return self->reset();
                            error_code ignored;
                            self->client_.set_option(tcp::no_delay(true), ignored);
                            self->server_.set_option(tcp::no_delay(true), ignored);
                            self->pass(self->client_, self->server_, self->up_, false);
                            self->pass(self->server_, self->client_, self->down_, true);
                          });
  }

  void cut_after(std::size_t bytes) {
    left_ = bytes;
    if (bytes == 0) reset();
  }

 private:
  using Buffer = std::array<char, 16'384>;

  void pass(tcp::socket& from, tcp::socket& to, Buffer& buffer, bool counted) {
    from.async_read_some(asio::buffer(buffer),
                         [&, counted, self = shared_from_this()](error_code error, std::size_t n) {
                           if (error) return reset();
                           const bool ends = counted && left_ && n >= *left_;
                           if (ends) n = *left_;
                           if (counted && left_) *left_ -= n;
                           asio::async_write(to, asio::buffer(buffer, n),
                                             [&, counted, ends, self](error_code failed, std::size_t) {
                                               if (failed || ends) return reset();
                                               pass(from, to, buffer, counted);
                                             });
                         });
  }

  void reset() {
    error_code ignored;
    client_.set_option(asio::socket_base::linger(true, 0), ignored);
    client_.close(ignored);
    server_.close(ignored);
  }

  tcp::socket client_, server_;
  std::optional<std::size_t> left_;  // bytes to the client before it is reset
  Buffer up_, down_;
};

}  // namespace

struct Relay::Parts {
  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) {
        std::erase_if(links, [](const auto& link) { return link.expired(); });
        auto link = std::make_shared<Link>(std::move(socket), context);
        links.push_back(link);
        link->start(target);
      }
      accept();
    });
  }

  std::string host;
  std::uint16_t port, target;
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  std::vector<std::weak_ptr<Link>> links;  // of the thread
  std::thread thread;
};

Relay::Relay(std::string host, std::uint16_t port, std::uint16_t target) : parts_(std::make_unique<Parts>()) {
  parts_->host = std::move(host);
  parts_->port = port;
  parts_->target = target;
}
Relay::~Relay() {
  parts_->context.stop();
  if (parts_->thread.joinable()) parts_->thread.join();
}

Result<std::uint16_t> Relay::start() {
  auto& p = *parts_;
  const auto port = vendor_sim::listen(p.acceptor, p.host, p.port, "--grpc-port");
  if (!port) return port;
  p.accept();
  p.thread = std::thread([&p] { p.context.run(); });
  return port;
}

void Relay::cut_after(std::size_t bytes) {
  std::promise<void> done;
  asio::post(parts_->context, [this, bytes, &done] {
    for (const auto& weak : parts_->links)
      if (const auto link = weak.lock()) link->cut_after(bytes);
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace cx::kserve_sim
