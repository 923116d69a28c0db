#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/vendor-sim/program.hpp"
#include "tools/vendor-sim/server.hpp"
#include "tools/vendor-sim/simulator.hpp"
#include "tools/version.hpp"

namespace {

constexpr char kHelp[] =
    "Plays the vendors that messages leave for, misbehaves when told to, and remembers what it received.\n"
    "  POST /v3/mail/send   SendGrid: 202, 400, 401, 413, 415\n"
    "  POST /hooks/NAME     a webhook; with --secret, signatures are checked\n"
    "  POST /_sim/behaviour {\"path\": \"/hooks/a\", \"mode\": \"throttle\", \"share\": 0.3, \"count\": 10,\n"
    "                        \"status\": 503, \"retry_after\": 1, \"delay_ms\": 50}; DELETE for good "
    "behaviour\n"
    "       modes: ok throttle error hang reset slow accept-then-fail duplicate redirect huge\n"
    "  GET  /_sim/messages?path=/hooks/a&after=0&limit=100, GET /_sim/counts, DELETE /_sim/messages\n\n"
    "Examples:\n"
    "  cx-vendor-sim --port 8025\n"
    "  cx-vendor-sim --port 0 --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw --log received.jsonl";

std::optional<cx::Error> serve(const cx::vendor_sim::Options& options) {
  cx::vendor_sim::Server server(options);
  const auto port = server.start();
  if (!port) return port.error();
  cx::vendor_sim::wait_for_signal({{"port", *port}});
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  cx::vendor_sim::Options options;
  CLI::App app{kHelp, "cx-vendor-sim"};
  app.set_version_flag("--version", fmt::format("cx-vendor-sim {}", cx::kVersion));
  app.add_option("--host", options.host, "Address to listen on")->capture_default_str();
  app.add_option("--port", options.port, "Port to listen on; 0 takes a free one. It is printed as \"port N\"")
      ->capture_default_str();
  app.add_option("--key", options.key, "API key that SendGrid takes; without, any");
  app.add_option("--secret", options.secret, "Secret of webhooks; without, signatures are not checked");
  app.add_option("--log", options.log,
                 "File that gets a line of JSON for each request, before it is answered")
      ->type_name("FILE");
  app.add_option("--seed", options.seed, "Seed of which requests a share hits")->capture_default_str();
  return cx::vendor_sim::run(app, argc, argv, [&options] { return serve(options); });
}
