#include "tests/nats/nats_server.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "runtime/nats/api.hpp"

namespace cx::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kPatience = 60s;

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) ::close(fd);
  if (!bound) throw std::runtime_error("no free port on the loopback");
  return ntohs(address.sin_port);
}

std::string make_folder() {
  auto pattern = (fs::temp_directory_path() / "cx-nats-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  return pattern;
}

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
}

/// Runs nats-server instead of this process.
[[noreturn]] void execute(const char* program, const char* config) {
  if (program && *program) {
    ::execl(program, program, "-c", config, static_cast<char*>(nullptr));
  } else {
    ::execlp("nats-server", "nats-server", "-c", config, static_cast<char*>(nullptr));
    ::execl("/usr/sbin/nats-server", "nats-server", "-c", config, static_cast<char*>(nullptr));
  }
  ::dprintf(STDERR_FILENO, "%s cannot be run: %s\n", program && *program ? program : "nats-server",
            std::strerror(errno));
  ::_exit(127);
}

/// Tries until it works.
template <class Try>
void wait_for(const char* what, Try attempt) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!attempt()) {
    if (std::chrono::steady_clock::now() > until)
      throw std::runtime_error(fmt::format("nats-server: {}", what));
    std::this_thread::sleep_for(50ms);
  }
}

}  // namespace

NatsServer::NatsServer(NatsServerOptions options) : NatsServer(std::move(options), "n0", std::nullopt) {
  start();
}

NatsServer::NatsServer(NatsServerOptions options, std::string name, std::optional<Cluster> cluster)
    : options_(std::move(options)),
      name_(std::move(name)),
      cluster_(std::move(cluster)),
      folder_(make_folder()),
      port_(free_port()) {
  if (!options_.password.empty()) write_file(folder_ / "password", options_.password + '\n');
  if (!options_.token.empty()) write_file(folder_ / "token", options_.token + '\n');
}

NatsServer::NatsServer(NatsServer&& other) noexcept
    : options_(std::move(other.options_)),
      name_(std::move(other.name_)),
      cluster_(std::move(other.cluster_)),
      folder_(std::exchange(other.folder_, {})),
      port_(other.port_),
      pid_(std::exchange(other.pid_, 0)) {}

NatsServer::~NatsServer() {
  kill();
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

void NatsServer::write_config() const {
  auto text = fmt::format(
      "server_name: \"{}\"\nlisten: \"127.0.0.1:{}\"\njetstream {{\n  store_dir: \"{}\"\n  max_mem: 256M\n"
      "  max_file: 16G\n{}}}\n",
      name_, port_, (folder_ / "store").string(), options_.sync_always ? "  sync_interval: always\n" : "");
  if (!options_.user.empty())
    text +=
        fmt::format("authorization {{ user: \"{}\", password: \"{}\" }}\n", options_.user, options_.password);
  if (!options_.token.empty()) text += fmt::format("authorization {{ token: \"{}\" }}\n", options_.token);
  if (!options_.certificate.empty()) {
    text +=
        fmt::format("tls {{\n  cert_file: \"{}\"\n  key_file: \"{}\"\n", options_.certificate, options_.key);
    if (options_.mutual) text += fmt::format("  ca_file: \"{}\"\n  verify: true\n", options_.ca);
    text += "}\n";
  }
  if (cluster_) {
    text += fmt::format("cluster {{\n  name: \"{}\"\n  listen: \"127.0.0.1:{}\"\n  routes: [", cluster_->name,
                        cluster_->port);
    for (const auto& route : cluster_->routes) text += fmt::format("\n    \"{}\"", route);
    text += "\n  ]\n}\n";
  }
  write_file(folder_ / "nats.conf", text + options_.more);
}

void NatsServer::start(bool wait) {
  if (pid_ > 0) throw std::runtime_error("nats-server runs already");
  write_config();
  const auto config = (folder_ / "nats.conf").string();
  const auto log = (folder_ / "log").string();
  const char* program = std::getenv("CX_NATS_SERVER");
  const auto parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    // It does not outlive the test, however that ends.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    execute(program, config.c_str());
  }
  if (wait) wait_ready();
}

void NatsServer::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void NatsServer::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGCONT);
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void NatsServer::pause() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGSTOP);
  int status = 0;
  ::waitpid(pid_, &status, WUNTRACED);  // its threads stop a moment after the signal
  if (!WIFSTOPPED(status)) pid_ = 0;    // it ended instead, and is waited for
}

void NatsServer::resume() {
  if (pid_ > 0) ::kill(pid_, SIGCONT);
}

std::string NatsServer::url() const {
  return fmt::format("{}://127.0.0.1:{}", options_.certificate.empty() ? "nats" : "tls", port_);
}

std::string NatsServer::log() const {
  std::ifstream file(folder_ / "log", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::pair<int, int> NatsServer::version() const {
  const auto text = log();
  constexpr std::string_view kBefore = "Version:";
  const auto found = text.rfind(kBefore);
  std::pair<int, int> version{};
  if (found == text.npos ||
      std::sscanf(text.c_str() + found + kBefore.size(), "%d.%d", &version.first, &version.second) != 2)
    throw std::runtime_error("nats-server does not say which version it is");
  return version;
}

v1::NatsConfig NatsServer::config() const {
  v1::NatsConfig config;
  config.add_urls(url());
  config.set_replicas(1);
  config.set_timeout_ms(2000);
  if (!options_.user.empty()) {
    config.set_user(options_.user);
    config.set_password_file((folder_ / "password").string());
  }
  if (!options_.token.empty()) config.set_token_file((folder_ / "token").string());
  if (!options_.ca.empty()) config.set_ca(options_.ca);
  if (options_.mutual) {
    config.set_certificate(options_.certificate);
    config.set_key(options_.key);
  }
  return config;
}

void NatsServer::wait_ready() const {
  wait_for("JetStream does not answer", [this] {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_)
      throw std::runtime_error(fmt::format("nats-server ended at its start:\n{}", log()));
    const auto connection = nats::Connection::open(config(), "ready");
    return connection && nats::api::call(**connection, "INFO", {}, 1s);
  });
}

NatsCluster::NatsCluster(std::size_t servers, const NatsServerOptions& options) {
  std::vector<std::string> routes;
  std::vector<std::uint16_t> ports;
  for (std::size_t i = 0; i < servers; ++i) {
    ports.push_back(free_port());
    routes.push_back(fmt::format("nats-route://127.0.0.1:{}", ports.back()));
  }
  for (std::size_t i = 0; i < servers; ++i) {
    NatsServer::Cluster cluster{"test", ports[i], routes};
    servers_.emplace_back(new NatsServer(options, fmt::format("n{}", i), std::move(cluster)));
  }
  for (auto& server : servers_) server->start(false);
  wait_ready();
}

v1::NatsConfig NatsCluster::config() const {
  auto config = servers_.front()->config();
  config.clear_urls();
  for (const auto& server : servers_) config.add_urls(server->url());
  config.set_replicas(static_cast<std::uint32_t>(servers_.size()));
  return config;
}

std::optional<std::size_t> NatsCluster::leader(nats::Connection& connection,
                                               const std::string& stream) const {
  const auto info = nats::api::call(connection, "STREAM.INFO." + stream, {}, 2s);
  if (!info) return std::nullopt;
  const auto name = nats::api::text(nats::api::member(*info, "cluster"), "leader");
  const auto found =
      std::ranges::find_if(servers_, [&](const auto& server) { return server->name() == name; });
  if (found == servers_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - servers_.begin());
}

void NatsCluster::wait_ready() const {
  for (const auto& server : servers_)
    if (server->running()) server->wait_ready();
  const auto copies = std::ranges::count_if(servers_, [](const auto& server) { return server->running(); });
  wait_for("no stream can be made", [&] {
    const auto connection = nats::Connection::open(config(), "ready");
    if (!connection) return false;
    const bool made =
        bool(nats::api::call(**connection, "STREAM.CREATE.ready",
                             {{"name", "ready"}, {"subjects", {"ready"}}, {"num_replicas", copies}}, 5s)) &&
        nats::api::parse((*connection)->request("ready", "", {}, 2s), "ready");
    return bool(nats::api::call(**connection, "STREAM.DELETE.ready", {}, 5s)) && made;
  });
}

}  // namespace cx::test
