#include "runtime/nats/options.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

namespace cx::nats {
namespace {

Error wrong_setting(std::string field, std::string detail) {
  return {Code::invalid_argument, "invalid-config", std::move(detail), "/nats/" + std::move(field)};
}

/// The bytes of a file without a last newline.
Result<std::string> secret(const std::string& field, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad() || !file.is_open())
    return wrong_setting(field, fmt::format("nats.{}: {} cannot be read", field, path));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty()) return wrong_setting(field, fmt::format("nats.{}: {} is empty", field, path));
  return text;
}

std::optional<Error> set_servers(natsOptions* options, const v1::NatsConfig& config) {
  std::vector<const char*> urls;
  for (const auto& url : config.urls()) {
    if (!url.starts_with("nats://") && !url.starts_with("tls://"))
      return wrong_setting("urls", "nats.urls: each is nats://HOST:PORT or tls://HOST:PORT");
    if (url.find('@') != std::string::npos)
      return wrong_setting("urls",
                           "nats.urls: credentials do not belong there but into nats.credentials, "
                           "nats.password_file or nats.token_file");
    urls.push_back(url.c_str());
  }
  if (urls.empty()) return wrong_setting("urls", "nats.urls is empty: name at least one server");
  if (natsOptions_SetServers(options, urls.data(), static_cast<int>(urls.size())) != NATS_OK)
    return wrong_setting("urls", "nats.urls: one of them is no URL of a server");
  return std::nullopt;
}

std::optional<Error> set_credentials(natsOptions* options, const v1::NatsConfig& config) {
  if (!config.credentials().empty()) {
    if (!std::filesystem::is_regular_file(config.credentials()))
      return wrong_setting("credentials",
                           fmt::format("nats.credentials: {} cannot be read", config.credentials()));
    natsOptions_SetUserCredentialsFromFiles(options, config.credentials().c_str(), nullptr);
  }
  if (!config.user().empty()) {
    if (config.password_file().empty())
      return wrong_setting("password_file", "nats.user needs nats.password_file");
    const auto password = secret("password_file", config.password_file());
    if (!password) return password.error();
    natsOptions_SetUserInfo(options, config.user().c_str(), password->c_str());
  }
  if (!config.token_file().empty()) {
    const auto token = secret("token_file", config.token_file());
    if (!token) return token.error();
    natsOptions_SetToken(options, token->c_str());
  }
  return std::nullopt;
}

std::optional<Error> set_tls(natsOptions* options, const v1::NatsConfig& config) {
  const bool wanted =
      !config.ca().empty() || !config.certificate().empty() ||
      std::ranges::any_of(config.urls(), [](const auto& url) { return url.starts_with("tls://"); });
  if (!wanted) return std::nullopt;
  if (natsOptions_SetSecure(options, true) != NATS_OK)
    return wrong_setting("urls", "this build's NATS library has no TLS");
  // Debian's; the library knows no others by itself.
  static constexpr auto kSystem = "/etc/ssl/certs/ca-certificates.crt";
  const auto ca = config.ca().empty() ? std::string(kSystem) : config.ca();
  if ((!config.ca().empty() || std::filesystem::exists(ca)) &&
      natsOptions_LoadCATrustedCertificates(options, ca.c_str()) != NATS_OK)
    return wrong_setting("ca", fmt::format("nats.ca: {} is no file of certificates in PEM", ca));
  if (config.certificate().empty() != config.key().empty())
    return wrong_setting("key", "nats.certificate and nats.key go together");
  if (!config.certificate().empty() &&
      natsOptions_LoadCertificatesChain(options, config.certificate().c_str(), config.key().c_str()) !=
          NATS_OK)
    return wrong_setting("certificate",
                         fmt::format("nats.certificate, nats.key: {} and {} are no certificate and its key",
                                     config.certificate(), config.key()));
  return std::nullopt;
}

}  // namespace

Result<Options> make_options(const v1::NatsConfig& config, const std::string& name) {
  natsOptions* raw = nullptr;
  if (natsOptions_Create(&raw) != NATS_OK) return Error{Code::internal, "nats-failed", "out of memory", ""};
  Options options(raw);
  if (auto error = set_servers(raw, config)) return *error;
  if (auto error = set_credentials(raw, config)) return *error;
  if (auto error = set_tls(raw, config)) return *error;
  const auto timeout = std::max<std::int64_t>(config.timeout_ms(), 100);
  natsOptions_SetName(raw, name.c_str());
  natsOptions_SetTimeout(raw, timeout);
  // A server that stands still is noticed by the third ping, or by a write that it takes no bytes of.
  natsOptions_SetPingInterval(raw, std::clamp<std::int64_t>(timeout / 2, 100, 5'000));
  natsOptions_SetMaxPingsOut(raw, 2);
  natsOptions_SetWriteDeadline(raw, timeout);
  natsOptions_SetMaxReconnect(raw, -1);
  natsOptions_SetReconnectWait(raw, 100);
  natsOptions_SetReconnectJitter(raw, 150, 150);
  // What is published while there is no connection is refused, not kept for later: at most one slips through.
  natsOptions_SetReconnectBufSize(raw, 1);
  natsOptions_SetIOBufSize(raw, 128 * 1024);
  return options;
}

}  // namespace cx::nats
