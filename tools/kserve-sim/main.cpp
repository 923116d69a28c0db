#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "actors/bidding/catalog.hpp"
#include "providers/inference/colanet/provider.hpp"
#include "providers/inference/linear.hpp"
#include "tools/kserve-sim/grpc.hpp"
#include "tools/kserve-sim/http.hpp"
#include "tools/vendor-sim/program.hpp"
#include "tools/vendor-sim/server.hpp"
#include "tools/version.hpp"

namespace {

using namespace cx;

constexpr char kHelp[] =
    "Plays a model server: scores offers as hardware of a profile would, and misbehaves when told to.\n"
    "  POST /v2/models/NAME/infer      Open Inference Protocol, tensors by its binary data extension\n"
    "  POST /v1/models/NAME:predict    TensorFlow Serving\n"
    "  inference.GRPCInferenceService  Open Inference Protocol over gRPC\n"
    "  POST /_sim/behaviour {\"mode\": \"error\", \"share\": 0.3, \"count\": 10, \"status\": 503, "
    "\"delay_ms\": 50}\n"
    "                       DELETE for good behaviour; GET /_sim/counts\n\n"
    "Examples:\n"
    "  cx-kserve-sim --port 8501 --grpc-port 8500 --profile inferentia2\n"
    "  cx-kserve-sim --port 8501 --model models/current\n"
    "  cx-kserve-sim --port 0 --grpc-port 0 --mode slow --delay-ms 30 --share 0.1";

struct Arguments {
  std::string host = "127.0.0.1", name = "colanet", model, profile = "cpu", mode = "ok";
  std::uint16_t port = 8501, grpc_port = 8500;
  std::uint64_t seed = 1, delay_ms = 60'000;
  std::uint64_t demo_seed = 42;
  std::uint32_t offers = 10'000, campaigns = 1'000;
  unsigned status = 503;
  double share = 1;
};

/// The model of a file, for the rows of a node's offers; or without one a node's stand-in.
Result<std::unique_ptr<inference::CoLaNetProvider>> open_model(const Arguments& a) {
  using Provider = std::unique_ptr<inference::CoLaNetProvider>;
  if (a.model.empty())
    return Provider(std::make_unique<inference::LinearCpuProvider>(
        std::make_shared<const inference::LinearModel>(a.seed, a.offers)));
  std::vector<std::string> offers;
  const bidding::Catalog catalog(bidding::demo_offers(a.demo_seed, a.offers, a.campaigns));
  for (std::uint32_t row = 0; row < catalog.size(); ++row) offers.push_back(catalog.offer(row).id());
  auto holder = inference::colanet::ModelHolder::open(a.model, std::move(offers));
  if (!holder) return holder.error();
  return Provider(std::make_unique<inference::colanet::ColanetProvider>(std::move(*holder)));
}

std::optional<Error> serve(const Arguments& a) {
  auto model = open_model(a);
  if (!model) return model.error();
  kserve_sim::Simulator simulator({a.name, inference::remote::find_profile(a.profile), a.seed},
                                  std::move(*model));
  simulator.behave(
      {*kserve_sim::mode_of(a.mode), a.share, std::nullopt, a.status, std::chrono::milliseconds(a.delay_ms)});
  vendor_sim::Server http(a.host, a.port,
                          [&](const vendor_sim::Request& request) { return answer(simulator, request); });
  kserve_sim::GrpcServer grpc(simulator, a.host, a.grpc_port);
  const auto port = http.start();
  if (!port) return port.error();
  const auto grpc_port = grpc.start();
  if (!grpc_port) return grpc_port.error();
  vendor_sim::wait_for_signal({{"port", *port}, {"grpc-port", *grpc_port}});
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app{kHelp, "cx-kserve-sim"};
  app.set_version_flag("--version", fmt::format("cx-kserve-sim {}", kVersion));
  app.add_option("--host", a.host, "Address to listen on")->capture_default_str();
  app.add_option("--port", a.port, "HTTP port; 0 takes a free one. It is printed as \"port N\"")
      ->capture_default_str();
  app.add_option("--grpc-port", a.grpc_port,
                 "gRPC port; 0 takes a free one. It is printed as \"grpc-port N\"")
      ->capture_default_str();
  app.add_option("--name", a.name, "Name of the model")->capture_default_str();
  app.add_option("--model", a.model,
                 "A model file, or a link to one, as for inference.model; without, a stand-in made from the "
                 "seed")
      ->type_name("FILE");
  app.add_option("--seed", a.seed, "Seed of the stand-in's weights, and of which requests a share hits")
      ->capture_default_str();
  app.add_option("--offers", a.offers, "Offers of the node that asks, as its demo.offers")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--campaigns", a.campaigns, "Their campaigns, as its demo.campaigns; for --model")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--demo-seed", a.demo_seed, "Its demo.seed, which orders them; for --model")
      ->capture_default_str();
  app.add_option("--profile", a.profile, "Hardware: its largest batch, latency and precision")
      ->capture_default_str()
      ->check([](const std::string& name) {
        return inference::remote::find_profile(name) != nullptr
                   ? ""
                   : "has to be cpu, xdna, groq, inferentia2, inferentia3, ampere or tenstorrent";
      });
  app.add_option("--mode", a.mode, "How it behaves: " + kserve_sim::mode_names())
      ->capture_default_str()
      ->check([](const std::string& name) {
        return kserve_sim::mode_of(name) ? "" : "has to be one of " + kserve_sim::mode_names();
      });
  app.add_option("--share", a.share, "Share of requests that the mode hits")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--status", a.status, "Status of mode error")
      ->capture_default_str()
      ->check(CLI::Range(300, 599));
  app.add_option("--delay-ms", a.delay_ms, "Duration of mode slow")
      ->capture_default_str()
      ->check(CLI::Range(0, 3'600'000));
  return vendor_sim::run(app, argc, argv, [&a] { return serve(a); });
}
