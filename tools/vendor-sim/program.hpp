#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <utility>

#include "runtime/error.hpp"

namespace CLI {
class App;
}

namespace cx::vendor_sim {

/// A simulator's main(): reads the command line into `app`, then calls `serve`, in whose threads SIGINT and
/// SIGTERM are blocked. Returns the exit code: 0, 2 for a command line that it does not understand, 1 for an
/// error of `serve`, which it prints behind the app's name.
int run(CLI::App& app, int argc, char** argv, const std::function<std::optional<Error>()>& serve);

/// Prints "port 8025", a line for each of `ports`, and returns when SIGINT or SIGTERM comes. For `serve`.
void wait_for_signal(std::initializer_list<std::pair<const char*, std::uint16_t>> ports);

}  // namespace cx::vendor_sim
