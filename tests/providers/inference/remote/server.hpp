#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "providers/inference/linear.hpp"
#include "providers/inference/remote/kserve_grpc.hpp"
#include "providers/inference/remote/kserve_http.hpp"
#include "providers/inference/remote/tfserving.hpp"
#include "runtime/random.hpp"
#include "tools/kserve-sim/grpc.hpp"
#include "tools/kserve-sim/http.hpp"
#include "tools/vendor-sim/server.hpp"

namespace cx::inference::remote::test {

inline constexpr std::uint32_t kOffers = 200;

inline std::unique_ptr<CoLaNetProvider> linear(std::uint64_t seed) {
  return std::make_unique<LinearCpuProvider>(std::make_shared<const LinearModel>(seed, kOffers));
}

/// Items with between 1 and 20 offers.
inline std::vector<Item> items(std::size_t count, std::uint64_t seed = 1) {
  Random random(seed);
  std::vector<Item> out(count);
  for (auto& item : out) {
    for (auto& x : item.features) x = static_cast<float>(random.uniform() * 2 - 1);
    for (auto n = random.below(20) + 1; n > 0; --n) item.offers.push_back(random.below(kOffers));
  }
  return out;
}

/// A model server in this process, whose model has seed 7.
class ModelServer {
 public:
  explicit ModelServer(std::string_view profile = "cpu")
      : simulator_({"colanet", find_profile(profile), 1}, linear(7)) {
    const auto port = http_.start(), grpc_port = grpc_.start();
    REQUIRE(port);
    REQUIRE(grpc_port);
    http_url_ = fmt::format("http://127.0.0.1:{}", *port);
    grpc_url_ = fmt::format("http://127.0.0.1:{}", *grpc_port);
  }

  kserve_sim::Simulator& simulator() { return simulator_; }
  const std::string& url(std::string_view protocol) const {
    return protocol == "kserve-grpc" ? grpc_url_ : http_url_;
  }

 private:
  kserve_sim::Simulator simulator_;
  vendor_sim::Server http_{"127.0.0.1", 0, [this](const vendor_sim::Request& request) {
                             return kserve_sim::answer(simulator_, request);
                           }};
  kserve_sim::GrpcServer grpc_{simulator_, "127.0.0.1", 0};
  std::string http_url_, grpc_url_;
};

inline constexpr const char* kProtocols[] = {"kserve-http", "kserve-grpc", "tfserving"};

inline std::unique_ptr<Protocol> protocol(std::string_view name, const std::string& url) {
  if (name == "kserve-http") return std::make_unique<KserveHttp>(url, "colanet");
  if (name == "kserve-grpc") return std::make_unique<KserveGrpc>(url, "colanet");
  return std::make_unique<TfServing>(url, "colanet");
}

inline std::unique_ptr<RemoteProvider> provider(std::string_view name, const std::string& url,
                                                const Clock& clock, std::chrono::milliseconds timeout,
                                                std::string_view profile = "cpu") {
  return std::make_unique<RemoteProvider>(
      protocol(name, url), RemoteProvider::Options{"colanet", find_profile(profile), timeout}, clock);
}

}  // namespace cx::inference::remote::test
