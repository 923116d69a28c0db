#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <map>

#include "tools/loadgen/load.hpp"

namespace {

using namespace cx::loadgen;

// The house's exit codes.
constexpr int kDone = 0, kFailed = 1, kUsage = 2, kUnreachable = 6;

// Bids are counted over a whole run, so that a run (warm-up, duration, twice the timeout) must fit into an
// hour.
constexpr std::uint64_t kMaxMillis = 14 * 60'000;

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  std::uint64_t duration = 10'000, warmup = 2'000, timeout = 1'000;
  std::uint32_t cap_hour = 0, cap_day = 0;
  bool closed = false, once_each = false, fail_on_error = false;
  std::string arrivals = "poisson", output = "table";

  CLI::App app{
      "Sends OpenRTB bid requests over HTTP/1.1 to a server on this machine, and measures.\n"
      "  cx-loadgen --url http://127.0.0.1:8080/v1/bid --rate 5000            latency, open loop\n"
      "  cx-loadgen --url http://127.0.0.1:8080/v1/bid --closed               throughput"};
  const auto time = [&](const char* flag, std::uint64_t& millis, std::uint64_t least, const char* help) {
    const std::map<std::string, std::uint64_t> units{{"ms", 1}, {"s", 1'000}, {"m", 60'000}};
    app.add_option(flag, millis, help)
        ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME"))
        ->check(CLI::Range(least, kMaxMillis))
        ->type_name("TIME")
        ->default_str(fmt::format("{}s", millis / 1'000));
  };
  app.add_option("--url", plan.url, "Where to: http://127.0.0.1:PORT/PATH")->required();
  app.add_option("--key-file", plan.key_file, "File with the API key to show")->type_name("FILE");
  auto* mode = app.add_option_group("mode", "How requests are paced")->require_option(1);
  auto* rate = mode->add_option("--rate", plan.rate, "Open loop: requests a second, whatever the server does")
                   ->check(CLI::Range(0.1, 1e6));
  mode->add_flag("--closed", closed, "Closed loop: each connection sends when it has its answer");
  mode->add_flag("--once-each", once_each, "Closed loop, every user exactly once, at most --duration");
  app.add_option("--arrivals", arrivals, "Open loop: spacing of requests, poisson or uniform")
      ->check(CLI::IsMember({"poisson", "uniform"}))
      ->capture_default_str()
      ->needs(rate);
  app.add_option("--connections", plan.connections, "Connections, each with one request under way")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--threads", plan.threads, "Threads that share the load")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  time("--duration", duration, 1, "Measured time: 500ms, 10s, 2m");
  time("--warmup", warmup, 0, "Unmeasured time before it");
  time("--timeout", timeout, 1, "Longest wait for an answer");
  app.add_option("--users", plan.users, "Distinct users")
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  app.add_option("--zipf", plan.zipf, "Exponent of the users' popularity; 0: all alike")
      ->check(CLI::Range(0.0, 5.0))
      ->capture_default_str();
  auto* bodies = app.add_option("--bodies", plan.bodies, "Distinct generated requests")
                     ->check(CLI::Range(1, 100'000))
                     ->capture_default_str();
  auto* tmax = app.add_option("--tmax", plan.tmax, "Milliseconds that a generated request allows")
                   ->check(CLI::Range(1, 60'000))
                   ->capture_default_str();
  app.add_option("--seed", plan.seed, "Same seed, same requests in the same order")->capture_default_str();
  auto* hour = app.add_option("--cap-hour", cap_hour, "Assert that no user is given more bids in an hour");
  auto* day = app.add_option("--cap-day", cap_day, "Assert that no user is given more bids in a day");
  auto* ids =
      app.add_flag("--check-ids", plan.check_ids, "Assert that every 200 carries the id of its request");
  app.add_option(
         "--corpus", plan.corpus,
         "Directory of bodies to send instead of generated ones; in them and in\n"
         "the URL, ################ (16) stands for the request's id and ######### (9) for the user's")
      ->check(CLI::ExistingDirectory)
      ->excludes(bodies, tmax, hour, day, ids);
  app.add_option("--pid", plan.server_pids, "Servers whose CPU and memory to report")->delimiter(',');
  app.add_option("--output,-o", output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_flag(
      "--fail-on-error", fail_on_error,
      "Exit with 1 after a 4xx, 5xx, timeout, lost connection, dropped request, wrong id or broken cap");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }

  plan.mode = closed ? Mode::closed : once_each ? Mode::once_each : Mode::open;
  plan.arrivals = arrivals == "poisson" ? Arrivals::poisson : Arrivals::uniform;
  plan.duration = std::chrono::milliseconds(duration);
  plan.warmup = std::chrono::milliseconds(warmup);
  plan.timeout = std::chrono::milliseconds(timeout);
  plan.threads = std::min(plan.threads, plan.connections);
  if (*hour && *day)
    plan.cap = std::min(cap_hour, cap_day);
  else if (*hour || *day)
    plan.cap = *hour ? cap_hour : cap_day;

  const auto report = run(plan);
  if (!report) {
    fmt::print(stderr, "cx-loadgen: {}\n", report.error().detail);
    return report.error().code == cx::Code::unavailable ? kUnreachable : kUsage;
  }
  fmt::print("{}", output == "json" ? json(plan, *report) : table(plan, *report));
  return fail_on_error && report->failed() ? kFailed : kDone;
}
