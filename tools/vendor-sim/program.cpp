#include "tools/vendor-sim/program.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <signal.h>

namespace cx::vendor_sim {
namespace {

// The house's exit codes.
constexpr int kDone = 0, kFailed = 1, kUsage = 2;

sigset_t ending() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

int run(CLI::App& app, int argc, char** argv, const std::function<std::optional<Error>()>& serve) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  const auto signals = ending();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  try {
    const auto error = serve();
    if (!error) return kDone;
    fmt::print(stderr, "{}: {}\n", app.get_name(), error->detail);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", app.get_name(), e.what());
  }
  return kFailed;
}

void wait_for_signal(std::initializer_list<std::pair<const char*, std::uint16_t>> ports) {
  for (const auto& [name, port] : ports) fmt::print("{} {}\n", name, port);
  std::fflush(stdout);
  const auto signals = ending();
  int signal = 0;
  sigwait(&signals, &signal);
}

}  // namespace cx::vendor_sim
