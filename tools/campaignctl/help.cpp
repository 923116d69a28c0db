#include <array>
#include <fmt/core.h>

#include "tools/campaignctl/cli.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace {

std::string section(const std::string& head, const std::vector<std::vector<std::string>>& lines) {
  if (lines.empty()) return "";
  std::string text = "\n" + head + ":\n";
  for (const auto& line : align(lines, std::vector<bool>(lines.front().size()))) text += "  " + line + "\n";
  return text;
}

std::vector<std::vector<std::string>> flag_lines(const std::vector<Flag>& flags) {
  std::vector<std::vector<std::string>> lines;
  for (const auto& flag : flags) {
    const std::string letter = flag.letter == 0 ? "   " : fmt::format("-{},", flag.letter);
    std::string meaning = flag.help;
    if (!flag.choices.empty() && flag.name == "output") meaning += ": " + join(flag.choices, ", ");
    lines.push_back(
        {fmt::format("{} --{}{}{}", letter, flag.name, flag.takes_word() ? " " : "", flag.value), meaning});
  }
  return lines;
}

std::string help_for_all() {
  std::vector<std::vector<std::string>> lines;
  for (const auto& command : commands())
    if (command.run) lines.push_back({command.path, command.purpose});
  return "campaignctl: look at and steer a Campaign Express cluster.\n\n"
         "Usage: campaignctl NOUN [VERB] [ARGUMENT] [flags]\n" +
         section("Commands", lines) +
         section("Examples", {{"campaignctl topology --watch"}, {"campaignctl bid request.json -o json"}}) +
         section("Flags", flag_lines(everywhere())) +
         "\nFlags win over CAMPAIGN_SERVER, CAMPAIGN_TIMEOUT, CAMPAIGN_OUTPUT, CAMPAIGN_COLOR and "
         "CAMPAIGN_CONTEXT, these\n"
         "over the context, and that over the defaults: campaignctl config view --origin shows which did.\n"
         "Exit codes: 0 done, 1 server failed, 2 usage, 3 not found, 4 denied, 5 conflict, 6 unreachable or "
         "timed out,\n"
         "7 input rejected, 10 the answer is \"bad\", 130 interrupted.\n";
}

}  // namespace

std::string help(const Command* command) {
  if (command == nullptr) return help_for_all();
  std::vector<std::vector<std::string>> verbs, arguments, examples;
  for (const auto& verb : words_below(command->path))
    verbs.push_back({verb, find_command(command->path + " " + verb)->purpose});
  std::string line = "campaignctl " + command->path;
  for (const auto& argument : command->arguments) {
    line += " " + argument.name;
    arguments.push_back({argument.name, argument.help});
  }
  if (!command->run) line += " VERB";
  for (const auto& example : command->examples) examples.push_back({example});
  constexpr std::array<const char*, 4> kEffects{" Only reads.", " Changes your context file.",
                                                " Changes the server.", " Destroys something on the server."};
  const char* effect = command->run ? kEffects[static_cast<std::size_t>(command->effect)] : "";
  return fmt::format("{}.{}\n\nUsage: {} [flags]\n", command->purpose, effect, line) +
         section("Verbs", verbs) + section("Arguments", arguments) + section("Examples", examples) +
         section("Flags", flag_lines(command->flags));
}

}  // namespace cx::ctl
