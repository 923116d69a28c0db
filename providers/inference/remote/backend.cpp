#include "providers/inference/remote/backend.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>

#include "providers/inference/remote/kserve_grpc.hpp"
#include "providers/inference/remote/kserve_http.hpp"
#include "providers/inference/remote/tfserving.hpp"
#include "runtime/net/outbound.hpp"

namespace cx::inference::remote {
namespace {

using MakeProtocol = std::unique_ptr<Protocol> (*)(const std::string& url, const std::string& model,
                                                   const std::string& ca_file);

template <class T>
std::unique_ptr<Protocol> make(const std::string& url, const std::string& model, const std::string& ca_file) {
  return std::make_unique<T>(url, model, ca_file);
}

constexpr std::pair<std::string_view, MakeProtocol> kProtocols[] = {
    {"kserve-http", make<KserveHttp>}, {"kserve-grpc", make<KserveGrpc>}, {"tfserving", make<TfServing>}};

Error wrong_setting(const char* field, std::string_view value, const char* what) {
  return {Code::invalid_argument, "invalid-configuration",
          fmt::format("inference.{}: \"{}\" {}", field, value, what), fmt::format("/inference/{}", field)};
}

/// http://host:port as it is to be used, or nothing.
std::optional<std::string> base_of(const std::string& url) {
  const auto slashes = url.find("://");
  if (!net::host_of(url) || slashes == url.npos) return std::nullopt;
  const auto path = url.find_first_of("/?#", slashes + 3);
  if (path != url.npos && url.substr(path) != "/") return std::nullopt;
  return url.substr(0, path);
}

/// Names that need no escape in a URL.
bool plain(std::string_view name) {
  return !name.empty() && name.size() <= 200 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::string_view profile_of(const v1::InferenceConfig& config) {
  return config.profile().empty() ? std::string_view("cpu") : config.profile();
}

const std::pair<std::string_view, MakeProtocol>* find_protocol(std::string_view name) {
  const auto* found = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                   [&](const auto& one) { return one.first == name; });
  return found == std::end(kProtocols) ? nullptr : found;
}

}  // namespace

bool is_remote(const v1::InferenceConfig& config) {
  return !config.provider().empty() && config.provider() != "cpu";
}

std::optional<Error> check_backend(const v1::InferenceConfig& config) {
  if (!is_remote(config)) return std::nullopt;
  if (find_protocol(config.provider()) == nullptr)
    return wrong_setting("provider", config.provider(),
                         "is none of cpu, kserve-http, kserve-grpc, tfserving.");
  if (!base_of(config.url()))  // which is not quoted: there may be a password in it
    return wrong_setting("url", "...",
                         "has to be a model server's http://host:port, without a user or a path.");
  if (!plain(config.remote_model()))
    return wrong_setting("remote_model", config.remote_model(),
                         "is no name of a model: letters, digits, '-', '_' and '.'.");
  if (find_profile(profile_of(config)) == nullptr)
    return wrong_setting("profile", config.profile(),
                         "is none of cpu, xdna, groq, inferentia2, inferentia3, ampere, tenstorrent.");
  if (!config.ca_file().empty() && std::ifstream(config.ca_file()).peek() == EOF)
    return wrong_setting("ca_file", config.ca_file(),
                         "cannot be read, or is empty: it has to be a file of certificates in PEM.");
  return std::nullopt;
}

Result<ProviderFactory> make_backend(const v1::InferenceConfig& config, ProviderFactory fallback,
                                     const Clock& clock, RemoteProbe& probe) {
  if (!is_remote(config)) return fallback;
  if (auto error = check_backend(config)) return std::move(*error);
  const RemoteProvider::Options options{
      config.remote_model(), find_profile(profile_of(config)),
      std::chrono::milliseconds(std::clamp<std::uint32_t>(config.timeout_ms(), 1, 10'000))};
  const auto breaker = std::make_shared<Breaker>(Breaker::Policy{}, clock);
  return ProviderFactory([make_protocol = find_protocol(config.provider())->second,
                          url = *base_of(config.url()), ca_file = config.ca_file(), options, breaker,
                          fallback = std::move(fallback), &clock,
                          &probe]() -> std::unique_ptr<CoLaNetProvider> {
    auto server =
        std::make_unique<RemoteProvider>(make_protocol(url, options.model, ca_file), options, clock);
    return std::make_unique<FallbackProvider>(std::move(server), fallback(), breaker, probe);
  });
}

void add_metrics(Metrics& metrics, const RemoteProbe& probe) {
  const auto batches = [&](const char* outcome, const Counter& from) {
    metrics.counter("cx_inference_remote_batches_total", "Batches of a node whose model server is elsewhere.",
                    [&from] { return static_cast<double>(from.value()); }, {{"outcome", outcome}});
  };
  batches("answered", probe.answered);
  batches("failed", probe.failed);
  batches("skipped", probe.skipped);
  metrics.gauge("cx_inference_remote_resting",
                "1 while the model server is not asked, after failures in a row.",
                [&probe] { return probe.resting ? 1.0 : 0.0; });
}

}  // namespace cx::inference::remote
