#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <signal.h>

#include "providers/inference/linear.hpp"
#include "tools/kserve-sim/grpc.hpp"
#include "tools/kserve-sim/http.hpp"
#include "tools/vendor-sim/server.hpp"
#include "tools/version.hpp"

namespace {

using namespace cx;

// The house's exit codes.
constexpr int kDone = 0, kFailed = 1, kUsage = 2;

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
    "  cx-kserve-sim --port 0 --grpc-port 0 --mode slow --delay-ms 30 --share 0.1";

struct Arguments {
  std::string host = "127.0.0.1", name = "colanet", profile = "cpu", mode = "ok";
  std::uint16_t port = 8501, grpc_port = 8500;
  std::uint64_t seed = 1, delay_ms = 60'000;
  std::uint32_t offers = 10'000;
  unsigned status = 503;
  double share = 1;
};

int fail(const Error& error) {
  fmt::print(stderr, "cx-kserve-sim: {}\n", error.detail);
  return kFailed;
}

int serve(const Arguments& a) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  auto model = std::make_shared<const inference::LinearModel>(a.seed, a.offers);
  kserve_sim::Simulator simulator({a.name, inference::remote::find_profile(a.profile), a.seed},
                                  std::make_unique<inference::LinearCpuProvider>(std::move(model)));
  simulator.behave(
      {*kserve_sim::mode_of(a.mode), a.share, std::nullopt, a.status, std::chrono::milliseconds(a.delay_ms)});
  vendor_sim::Server http(a.host, a.port,
                          [&](const vendor_sim::Request& request) { return answer(simulator, request); });
  kserve_sim::GrpcServer grpc(simulator, a.host, a.grpc_port);
  const auto port = http.start();
  if (!port) return fail(port.error());
  const auto grpc_port = grpc.start();
  if (!grpc_port) return fail(grpc_port.error());
  fmt::print("port {}\ngrpc-port {}\n", *port, *grpc_port);
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  return kDone;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app{kHelp};
  app.set_version_flag("--version", fmt::format("cx-kserve-sim {}", kVersion));
  app.add_option("--host", a.host, "Address to listen on")->capture_default_str();
  app.add_option("--port", a.port, "HTTP port; 0 takes a free one. It is printed as \"port N\"")
      ->capture_default_str();
  app.add_option("--grpc-port", a.grpc_port,
                 "gRPC port; 0 takes a free one. It is printed as \"grpc-port N\"")
      ->capture_default_str();
  app.add_option("--model", a.name, "Name of the model")->capture_default_str();
  app.add_option("--seed", a.seed, "Seed of the model's weights, and of which requests a share hits")
      ->capture_default_str();
  app.add_option("--offers", a.offers, "Offers that the model has")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  try {
    return serve(a);
  } catch (const std::exception& e) {
    fmt::print(stderr, "cx-kserve-sim: {}\n", e.what());
    return kFailed;
  }
}
