// campaignctl: the command line of a cluster. See README.md.
#include <csignal>
#include <cstdlib>
#include <fmt/core.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "tools/campaignctl/cli.hpp"
#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"
#include "tools/campaignctl/watch.hpp"

namespace cx::ctl {
namespace {

/// Nothing needs undoing: files are replaced whole, and output is written a block at a time.
void interrupted(int) {
  _exit(static_cast<int>(Exit::interrupted));
}

bool use_color(const std::string& when, int fd) {
  if (when != "auto") return when == "always";
  const std::string terminal = process_environment("TERM");
  return isatty(fd) != 0 && terminal != "dumb" && process_environment("NO_COLOR").empty();
}

/// What the libraries below log is no part of a result: only what is wrong, and where errors go.
void log_to_stderr() {
  const auto logger = spdlog::stderr_logger_mt("campaignctl");
  logger->set_pattern("campaignctl: %v");
  logger->set_level(spdlog::level::warn);
  spdlog::set_default_logger(logger);
}

int fail(const Failure& failure, std::optional<Format> format, const std::string& color) {
  if (format && !for_people(*format))
    say(problem_document(failure));
  else
    say(paint("campaignctl:", Color::red, use_color(color, STDERR_FILENO)) + " " + problem_text(failure));
  return static_cast<int>(failure.exit);
}

int run(const std::vector<std::string>& words) {
  if (!words.empty() && words.front() == "__complete") {  // called by the scripts of `completion`
    put(complete({words.begin() + 1, words.end()}, Settings({}, process_environment)));
    return 0;
  }
  static const Command kNone{};
  const Parsed parsed = parse(words);
  const Call call(parsed.command != nullptr ? *parsed.command : kNone, parsed.given, process_environment);
  const auto format = parse_format(call.settings().get("output").value);
  const std::string color = call.settings().get("color").value;
  if (call.has("help")) {
    put(help(parsed.command));
    return 0;
  }
  if (parsed.failure) return fail(*parsed.failure, format, color);
  if (parsed.command == nullptr) {
    say(help(nullptr));
    return static_cast<int>(Exit::usage);
  }
  for (const char* name : {"output", "color"}) {  // flags have been checked, the environment has not
    const auto [value, origin] = call.settings().get(name);
    if (const auto failure = check_choice(origin, value, find_flag(everywhere(), name)->choices))
      return fail(*failure, format, color);
  }

  const View view{*format, !call.has("no-headers"), use_color(color, STDOUT_FILENO),
                  terminal_size(STDOUT_FILENO).first};
  if (call.has("watch")) return fail(watch(call, view), format, color);
  const auto report = call.command().run(call);
  if (!report) return fail(report.error(), format, color);
  put(render(*report, view));
  if (!call.has("quiet"))
    for (const auto& note : report->notes) say(printable(note));
  return static_cast<int>(report->exit);
}

}  // namespace
}  // namespace cx::ctl

int main(int argc, char** argv) {
  std::signal(SIGINT, cx::ctl::interrupted);
  std::signal(SIGPIPE, SIG_IGN);  // put() sees it
  cx::ctl::log_to_stderr();
  return cx::ctl::run({argv + 1, argv + argc});
}
