#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "cx/v1/config.pb.h"
#include "runtime/nats/connection.hpp"

namespace cx::test {

/// What a server's clients must show, and what it shows them.
struct NatsServerOptions {
  std::string user{}, password{};          ///< both or none
  std::string token{};                     ///< or this
  std::string certificate{}, key{}, ca{};  ///< files: TLS; `ca` signed the certificate
  bool mutual = false;       ///< clients show a certificate that `ca` signed; config() shows the server's own
  bool sync_always = false;  ///< each message on disk before it is acknowledged; 2.10 and newer
  std::string more{};        ///< more lines of its configuration
};

/// A real nats-server with JetStream on free loopback ports, in a temporary folder, for as long as this lives
/// (or the thread that started it): the one that the environment variable CX_NATS_SERVER names, or else that
/// of the PATH. Every call throws std::runtime_error where it fails.
class NatsServer {
 public:
  /// Started, and JetStream answers.
  explicit NatsServer(NatsServerOptions options = {});
  ~NatsServer();
  NatsServer(NatsServer&&) noexcept;
  NatsServer& operator=(NatsServer&&) = delete;

  std::string url() const;
  std::uint16_t port() const { return port_; }
  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0; }
  const std::filesystem::path& folder() const { return folder_; }
  /// As the server's standard error had it.
  std::string log() const;
  /// 2 and 15 of 2.15.1: what runs, or ran last.
  std::pair<int, int> version() const;
  /// What a client needs to connect; no replicas, 2 s of patience.
  v1::NatsConfig config() const;

  void stop();    ///< SIGTERM, waited for
  void kill();    ///< SIGKILL, waited for
  void pause();   ///< SIGSTOP
  void resume();  ///< SIGCONT
  /// On the same ports, with the same files; waits until JetStream answers unless told not to.
  void start(bool wait = true);
  /// Waits until JetStream answers.
  void wait_ready() const;

 private:
  friend class NatsCluster;
  struct Cluster {
    std::string name;
    std::uint16_t port = 0;
    std::vector<std::string> routes;
  };
  NatsServer(NatsServerOptions options, std::string name, std::optional<Cluster> cluster);
  void write_config() const;

  NatsServerOptions options_;
  std::string name_;
  std::optional<Cluster> cluster_;
  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = 0;
};

/// Several of them as one NATS cluster, named n0, n1, ...
class NatsCluster {
 public:
  /// Started, and a stream with a copy on each can be made.
  explicit NatsCluster(std::size_t servers = 3, const NatsServerOptions& options = {});

  NatsServer& operator[](std::size_t i) { return *servers_[i]; }
  std::size_t size() const { return servers_.size(); }
  /// Names all of them; as many replicas as there are.
  v1::NatsConfig config() const;
  /// Which server leads a stream; nothing while none does.
  std::optional<std::size_t> leader(nats::Connection& connection, const std::string& stream) const;
  /// Waits until a stream with a copy on each running server can be made.
  void wait_ready() const;

 private:
  std::vector<std::unique_ptr<NatsServer>> servers_;
};

}  // namespace cx::test
