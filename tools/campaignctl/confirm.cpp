#include "tools/campaignctl/confirm.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include "tools/campaignctl/io.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {

const Flag kYes{"yes", 'y', "", "Do it without asking"};
const Flag kConfirm{"confirm", 0, "ID", "Do it without asking; repeat the ID to show that you mean it"};

namespace {

Failure declined() {
  return {Exit::interrupted, "declined", "nothing was changed", ""};
}

}  // namespace

std::string ask_line(const std::string& prompt) {
  static_cast<void>(write_all(STDERR_FILENO, prompt));
  std::string line;
  char c = 0;
  while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

Outcome<void> can_ask(const Call& call, const Flag& flag) {
  if (!call.has("no-input") && isatty(STDIN_FILENO) != 0) return {};
  return usage(fmt::format("{} asks before it does so, and nobody is there to answer; to go on, give --{}{}",
                           call.command().path, flag.name, flag.is_switch() ? "" : " " + flag.value));
}

Outcome<void> ask_yes(const std::string& question) {
  const auto answer = ask_line(printable(question) + " [y/N] ");
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return declined();
}

Outcome<void> ask_name(const std::string& warning, const std::string& name) {
  if (ask_line(fmt::format("{}\nType {} to go on: ", printable(warning), printable(name))) == name) return {};
  return declined();
}

}  // namespace cx::ctl
