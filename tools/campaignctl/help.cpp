#include <algorithm>
#include <array>
#include <fmt/core.h>

#include "tools/campaignctl/cli.hpp"
#include "tools/campaignctl/contract/names.hpp"
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
    if (flag.hidden) continue;
    const std::string letter = flag.letter == 0 ? "   " : fmt::format("-{},", flag.letter);
    std::string meaning = flag.help;
    if (flag.required) meaning += " (required)";
    if (!flag.choices.empty() && flag.name == "output") meaning += ": " + join(flag.choices, ", ");
    lines.push_back(
        {fmt::format("{} --{}{}{}", letter, flag.name, flag.takes_word() ? " " : "", flag.value), meaning});
  }
  return lines;
}

bool is_common(const Flag& flag) {
  return find_flag(everywhere(), flag.name) != nullptr || find_flag(asking(), flag.name) != nullptr;
}

/// The flags that every command shares, which `campaignctl --help` explains, in a paragraph.
std::string common_paragraph(const std::vector<Flag>& flags) {
  std::string text;
  for (const auto& flag : flags)
    if (is_common(flag))
      text += fmt::format("{}{}--{}{}{}", text.empty() ? "Also: " : ", ",
                          flag.letter == 0 ? "" : fmt::format("-{} ", flag.letter), flag.name,
                          flag.takes_word() ? "=" : "", flag.value);
  std::string out;
  for (const auto& line : wrap(text, 110)) out += (out.empty() ? "\n" : "  ") + line + "\n";
  return out;
}

/// What is said of a noun: its purpose, or else its verbs.
std::string gist(const std::string& noun) {
  const auto* command = described(noun);
  if (!command->purpose.empty()) return command->purpose;
  auto verbs = words_below(noun);
  const auto count = verbs.size();
  constexpr std::size_t kShown = 8;
  verbs.resize(std::min(count, kShown));
  return join(verbs, ", ") + (count > kShown ? ", ..." : "");
}

std::string help_for_all() {
  std::vector<std::vector<std::string>> lines;
  for (const auto& noun : words_below("")) lines.push_back({noun, gist(noun)});
  auto flags = everywhere();
  flags.insert(flags.end(), asking().begin(), asking().end());
  return "campaignctl: look at and steer a Campaign Express cluster.\n\n"
         "Usage: campaignctl NOUN [VERB] [ARGUMENT...] [flags]; campaignctl NOUN --help lists its verbs\n" +
         section("Commands", lines) +
         section("Examples", {{"campaignctl topology --watch"},
                              {"campaignctl campaigns list --stage draft"},
                              {"campaignctl explain Campaign.content.budget"}}) +
         section("Flags", flag_lines(flags)) +
         "\nFlags win over variables (CAMPAIGN_SERVER, CAMPAIGN_KEY_FILE, ... and CAMPAIGN_KEY, a key "
         "itself), "
         "these over the\ncontext, and that over the defaults: campaignctl config view --origin shows which "
         "did.\n"
         "Exit codes: 0 done, 1 server failed, 2 usage, 3 not found, 4 denied, 5 conflict, 6 unreachable or "
         "timed out,\n7 input rejected, 10 the answer is \"bad\", 130 interrupted.\n";
}

}  // namespace

std::string help(const Command* command) {
  if (command == nullptr) return help_for_all();
  command = described(command->path);
  std::vector<std::vector<std::string>> verbs, arguments, examples;
  for (const auto& verb : words_below(command->path))
    verbs.push_back({verb, described(command->path + " " + verb)->purpose});
  std::string line = "campaignctl " + command->path;
  for (const auto& argument : command->arguments) {
    line += argument.optional ? " [" + argument.name + "]" : " " + argument.name;
    arguments.push_back({argument.name, argument.help});
  }
  if (!command->run) line += " VERB";
  for (const auto& example : command->examples) examples.push_back({example});
  constexpr std::array<const char*, 4> kEffects{" Only reads.", " Changes your own files.",
                                                " Changes the server.", " Destroys something on the server."};
  const char* effect = command->run ? kEffects[static_cast<std::size_t>(command->effect)] : "";
  std::vector<Flag> own;
  for (const auto& flag : command->flags)
    if (!is_common(flag)) own.push_back(flag);
  std::string details;
  for (const auto& text : wrap(command->details, 100)) details += text + "\n";
  const auto purpose = command->purpose.empty() ? "Verbs of " + command->path : command->purpose;
  return fmt::format("{}.{}\n{}\nUsage: {} [flags]\n", purpose, effect, details, line) +
         section("Verbs", verbs) + section("Arguments", arguments) + section("Examples", examples) +
         section("Flags", flag_lines(own)) + common_paragraph(command->flags);
}

}  // namespace cx::ctl
