#include "runtime/cluster/wire.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>
#include <caf/io/network/stream_impl.hpp>
#include <caf/openssl/session.hpp>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cx::cluster {
namespace {

namespace network = caf::io::network;

constexpr int kDialMs = 2000;

network::default_multiplexer& loop_of(caf::actor_system& system) {
  return dynamic_cast<network::default_multiplexer&>(system.middleman().backend());
}

/// OpenSSL takes an error that somebody's connection has left behind on this thread for one of whichever
/// connection it is asked about next: CAF leaves them there, so that a stranger's failed handshake would end
/// the links that are in order. To be called before anything is done with a session.
void forget_errors() {
  ERR_clear_error();
}

/// A session that has begun its handshake; null where it failed at once. Its files are read every time, so
/// that new certificates are used without a restart.
caf::openssl::session_ptr begin(caf::actor_system& system, int fd, bool accepted) {
  forget_errors();
  try {
    return caf::openssl::make_session(system, fd, accepted);
  } catch (const std::exception&) {  // a file cannot be read
    return nullptr;
  }
}

/// How a stream reads and writes through a session.
class TlsPolicy {
 public:
  explicit TlsPolicy(caf::openssl::session_ptr session) : session_(std::move(session)) {}
  network::rw_state read_some(std::size_t& read, int fd, void* to, std::size_t size) {
    forget_errors();
    return session_->read_some(read, fd, to, size);
  }
  network::rw_state write_some(std::size_t& written, int fd, const void* from, std::size_t size) {
    forget_errors();
    return session_->write_some(written, fd, from, size);
  }
  bool must_read_more(int fd, std::size_t threshold) { return session_->must_read_more(fd, threshold); }

 private:
  caf::openssl::session_ptr session_;
};

/// A connection with TLS, as CAF's event loop knows connections. CAF has one, too, but keeps it to itself.
class TlsScribe final : public caf::io::scribe {
 public:
  TlsScribe(network::default_multiplexer& loop, int fd, caf::openssl::session_ptr session)
      : scribe(network::conn_hdl_from_socket(fd)), stream_(loop, fd, std::move(session)) {}

  void configure_read(caf::io::receive_policy::config config) override {
    stream_.configure_read(config);
    if (std::exchange(started_, true)) return;
    stream_.start(this);
    // The handshake goes on when the socket can be written, even while there is nothing to say.
    stream_.force_empty_write(this);
  }
  void ack_writes(bool enable) override { stream_.ack_writes(enable); }
  std::vector<char>& wr_buf() override { return stream_.wr_buf(); }
  std::vector<char>& rd_buf() override { return stream_.rd_buf(); }
  void flush() override { stream_.flush(this); }
  void graceful_shutdown() override {
    stream_.graceful_shutdown();
    detach(&stream_.backend(), false);
  }
  std::string addr() const override {
    const auto known = network::remote_addr_of_fd(stream_.fd());
    return known ? *known : "";
  }
  std::uint16_t port() const override {
    const auto known = network::remote_port_of_fd(stream_.fd());
    return known ? *known : std::uint16_t{0};
  }
  void add_to_loop() override { stream_.activate(this); }
  void remove_from_loop() override { stream_.passivate(); }

 private:
  bool started_ = false;
  network::stream_impl<TlsPolicy> stream_;
};

class TlsDoorman final : public network::doorman_impl {
 public:
  using doorman_impl::doorman_impl;
  bool new_connection() override {
    if (detached()) return false;
    const auto fd = acceptor_.accepted_socket();
    network::nonblocking(fd, true);
    auto session = begin(parent()->system(), fd, true);
    if (session == nullptr) {
      ::close(fd);
      return true;
    }
    auto& loop = acceptor_.backend();
    auto connection = caf::make_counted<TlsScribe>(loop, fd, std::move(session));
    const auto handle = connection->hdl();
    parent()->add_scribe(std::move(connection));
    return doorman::new_connection(&loop, handle);
  }
};

std::string reason(int error) {
  return std::strerror(error);  // NOLINT(concurrency-mt-unsafe): of glibc, which is safe
}

/// A connected socket; else `why` says why not.
SocketPtr connect_to(const std::string& host, std::uint16_t port, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* all = nullptr;
  if (const auto error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &all); error != 0) {
    why = gai_strerror(error);
    return nullptr;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(all, freeaddrinfo);
  for (const auto* one = all; one != nullptr; one = one->ai_next) {
    const auto fd =
        ::socket(one->ai_family, one->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, one->ai_protocol);
    if (fd < 0) {
      why = reason(errno);
      continue;
    }
    auto socket = std::make_shared<Socket>(fd);
    auto error = ::connect(fd, one->ai_addr, one->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      pollfd ready{fd, POLLOUT, 0};
      socklen_t size = sizeof error;
      if (::poll(&ready, 1, kDialMs) <= 0)
        error = ETIMEDOUT;
      else if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    }
    if (error == 0) return socket;
    why = reason(error);
  }
  return nullptr;
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<Error> check_tls(caf::actor_system& system) {
  try {
    caf::openssl::session session(system);
    if (session.init()) return std::nullopt;
  } catch (const std::exception& e) {
    const auto& config = system.config();
    return Error{
        Code::invalid_argument, "cluster-tls",
        fmt::format("TLS between nodes cannot be set up: {}. Look at cluster.tls.certificate ({}), key "
                    "({}) and client_ca ({}): PEM files of this node's certificate, of its key, and of "
                    "the authority of all nodes.",
                    e.what(), config.openssl_certificate, config.openssl_key, config.openssl_cafile),
        "/cluster/tls"};
  }
  return Error{Code::internal, "cluster-tls", "TLS between nodes cannot be set up: OpenSSL refuses to start.",
               "/cluster/tls"};
}

Result<SocketPtr> listen_on(const std::string& host, std::uint16_t& port) {
  const auto fd = network::new_tcp_acceptor_impl(port, host.empty() ? nullptr : host.c_str(), true);
  if (!fd)
    return Error{Code::unavailable, "cluster-listen",
                 fmt::format("Other nodes cannot reach this one: {}:{} cannot be listened on ({}). Set "
                             "cluster.host to an address of this machine, and cluster.port to a free one.",
                             host, port, reason(errno)),
                 "/cluster/port"};
  auto socket = std::make_shared<Socket>(*fd);
  const auto bound = network::local_port_of_fd(*fd);
  if (bound) port = *bound;
  return socket;
}

void accept_on(caf::io::broker& self, Socket& acceptor, bool tls) {
  if (tls)
    self.add_doorman(caf::make_counted<TlsDoorman>(loop_of(self.system()), acceptor.release()));
  else
    self.add_doorman(acceptor.release());
}

void dial(caf::actor_system& system, caf::actor to, std::string member, std::string host,
          std::uint16_t port) {
  system.spawn<caf::detached + caf::hidden>([to, member, host, port](caf::event_based_actor* self) {
    Dialled dialled{member, nullptr, ""};
    dialled.socket = connect_to(host, port, dialled.why);
    self->send(to, std::move(dialled));
  });
}

std::optional<caf::io::connection_handle> connect_on(caf::io::broker& self, Socket& socket, bool tls) {
  const auto fd = socket.release();
  if (!tls) return self.add_scribe(fd);
  auto session = begin(self.system(), fd, false);
  if (session == nullptr) {
    ::close(fd);
    return std::nullopt;
  }
  auto connection = caf::make_counted<TlsScribe>(loop_of(self.system()), fd, std::move(session));
  const auto handle = connection->hdl();
  self.add_scribe(std::move(connection));
  return handle;
}

}  // namespace cx::cluster
