#pragma once

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>
#include <caf/io/broker.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "runtime/error.hpp"

// Sockets between nodes, on CAF's event loop: plain, or TLS in which both sides show a certificate.

namespace cx::cluster {

/// A file descriptor that is closed when nobody has it any more.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  /// Gives it away.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};
using SocketPtr = std::shared_ptr<Socket>;

/// Whether certificate, key and authorities of the system's configuration can be used.
std::optional<Error> check_tls(caf::actor_system& system);

/// Listens; `port` is set to the one that it is. The acceptor is for accept_on().
Result<SocketPtr> listen_on(const std::string& host, std::uint16_t& port);

/// Within the broker: it gets a caf::io::new_connection_msg for each connection.
void accept_on(caf::io::broker& self, Socket& acceptor, bool tls);

/// What dial() leads to.
struct Dialled {
  std::string member;
  SocketPtr socket;  ///< null: there is no connection
  std::string why;   ///< not
};

/// Tries to connect for two seconds at most, on a thread of its own, and sends `to` a Dialled.
void dial(caf::actor_system& system, caf::actor to, std::string member, std::string host, std::uint16_t port);

/// Within the broker: takes the connection over. Nothing if TLS cannot even begin.
std::optional<caf::io::connection_handle> connect_on(caf::io::broker& self, Socket& socket, bool tls);

}  // namespace cx::cluster

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::cluster::Dialled)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::cluster::SocketPtr)
