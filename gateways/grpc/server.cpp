#include "gateways/grpc/server.hpp"

#include <condition_variable>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <mutex>
#include <spdlog/spdlog.h>
#include <thread>

#include "gateways/grpc/contract_service.hpp"

namespace cx::grpc_gateway {

using std::chrono::milliseconds;

namespace {

constexpr int kMaxMessage = 256 * 1024;            // bytes; as much as HTTP takes by default
constexpr int kMaxStreams = 256;                   // calls under way on one connection
constexpr std::size_t kMaxMemory = 256 << 20;      // bytes buffered for all connections
constexpr int kMaxThreads = 4;                     // for reflection; calls have gRPC's own two
constexpr auto kHealthPeriod = milliseconds(250);  // of asking whether the node is ready
constexpr unsigned kReloadSeconds = 5;             // between looks at the files of TLS
constexpr auto kFlush = milliseconds(100);         // for last answers and streams of the health service

// Peers that vanished are noticed; peers that ping more often than every 10 seconds are cut off.
constexpr std::pair<const char*, int> kChannelArguments[] = {
    {GRPC_ARG_ALLOW_REUSEPORT, 0},  // or a second node would share the port instead of failing
    {GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams},
    {GRPC_ARG_KEEPALIVE_TIME_MS, 60'000},
    {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000},
    {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
    {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000},
};

// What applies to the process rather than to a server.
void set_up_grpc() {
  // Its errors, which any peer can cause, are for whoever looks into gRPC itself.
  gpr_set_log_function([](gpr_log_func_args* line) { spdlog::debug("grpc: {}", line->message); });
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
}

std::string address_of(const v1::GrpcConfig& config) {
  const bool ipv6 = config.host().find(':') != std::string::npos;
  return (ipv6 ? "[" + config.host() + "]" : config.host()) + ":" + std::to_string(config.port());
}

/// Reads the files anew when they change.
std::shared_ptr<grpc::ServerCredentials> credentials_of(const v1::TlsConfig& tls) {
  if (tls.certificate().empty()) return grpc::InsecureServerCredentials();
  namespace ssl = grpc::experimental;
  const auto files = std::make_shared<ssl::FileWatcherCertificateProvider>(tls.key(), tls.certificate(),
                                                                           tls.client_ca(), kReloadSeconds);
  ssl::TlsServerCredentialsOptions options(files);
  options.watch_identity_key_cert_pairs();
  if (!tls.client_ca().empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(tls.require_client_certificate()
                                      ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                      : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return ssl::TlsServerCredentials(options);
}

std::string names_of(const std::deque<ContractService>& services) {
  std::string text;
  for (const auto& service : services) text += (text.empty() ? "" : ", ") + service.name();
  return text;
}

}  // namespace

class Server::Impl {
 public:
  Impl(const v1::GrpcConfig& config, std::span<const Method> methods, const Door& door, Metrics& metrics,
       ReadyCheck ready)
      : config_(config),
        ready_(std::move(ready)),
        services_(services_of(methods, door, metrics, gate_)),
        unknown_(names_of(services_)) {}

  ~Impl() { drain(milliseconds(0)); }

  Result<std::uint16_t> start() {
    set_up_grpc();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address_of(config_), credentials_of(config_.tls()), &port);
    for (auto& service : services_) builder.RegisterService(&service);
    builder.RegisterCallbackGenericService(&unknown_);
    builder.SetMaxReceiveMessageSize(kMaxMessage);
    // A message is inflated before its size is checked again: a small one could fill the memory.
    for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE})
      builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
    for (const auto& [name, value] : kChannelArguments) builder.AddChannelArgument(name, value);
    builder.SetResourceQuota(
        grpc::ResourceQuota("grpc gateway").Resize(kMaxMemory).SetMaxThreads(kMaxThreads));
    server_ = builder.BuildAndStart();
    if (!server_ || port == 0) {
      server_.reset();
      return Error{
          Code::unavailable, "cannot-listen",
          fmt::format(
              "Cannot listen for gRPC on {}: the port is taken or reserved, or the host is no address of "
              "this machine; choose another with --grpc-port (0 takes a free one) or --grpc-host.",
              address_of(config_)),
          ""};
    }
    report_health(ready_());
    health_ = std::jthread([this](const std::stop_token& stop) { watch_health(stop); });
    return static_cast<std::uint16_t>(port);
  }

  void drain(milliseconds grace) {
    if (!server_) return;
    health_ = {};  // joins
    report_health(false);
    gate_.close(grace);
    server_->Shutdown(std::chrono::system_clock::now() + kFlush);
    server_.reset();
  }

 private:
  void report_health(bool serving) {
    auto& health = *server_->GetHealthCheckService();
    health.SetServingStatus("", serving);
    for (const auto& service : services_) health.SetServingStatus(service.name(), serving);
  }

  void watch_health(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      stopped.wait_for(lock, stop, kHealthPeriod, [] { return false; });
      report_health(ready_());
    }
  }

  const v1::GrpcConfig config_;
  const ReadyCheck ready_;
  Gate gate_;
  std::deque<ContractService> services_;
  UnknownMethods unknown_;
  std::unique_ptr<grpc::Server> server_;
  std::jthread health_;
};

Server::Server(const v1::GrpcConfig& config, std::span<const Method> methods, const Door& door,
               Metrics& metrics, ReadyCheck ready)
    : impl_(std::make_unique<Impl>(config, methods, door, metrics, std::move(ready))) {}
Server::~Server() = default;
Result<std::uint16_t> Server::start() {
  return impl_->start();
}
void Server::drain(milliseconds grace) {
  impl_->drain(grace);
}

}  // namespace cx::grpc_gateway
