#include "tools/campaignctl/cli.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <fmt/core.h>

#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace {

std::vector<Flag> all_flags() {
  std::vector<Flag> flags = everywhere();
  for (const auto& command : commands())
    for (const auto& flag : command.flags)
      if (find_flag(flags, flag.name) == nullptr) flags.push_back(flag);
  return flags;
}

void add_flags(CLI::App& app, const std::vector<Flag>& flags) {
  for (const auto& flag : flags) {
    const std::string names = (flag.letter != 0 ? fmt::format("-{},", flag.letter) : "") + "--" + flag.name;
    if (flag.is_switch())
      app.add_flag(names);
    else
      app.add_option(names)
          ->expected(flag.takes_word() ? 1 : 0, 1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
}

CLI::App& add_below(CLI::App& app, const std::string& name) {
  for (auto* below : app.get_subcommands({}))
    if (below->get_name() == name) return *below;
  auto* below = app.add_subcommand(name)->require_subcommand(0, 1);
  below->allow_extras();
  return *below;
}

/// Flags are known at every level, so that they may stand before the verb; which of them the command takes is
/// judged when it is known.
void build(CLI::App& app) {
  app.set_help_flag();
  app.require_subcommand(0, 1);
  app.allow_extras();
  const auto flags = all_flags();
  add_flags(app, flags);
  for (const auto& command : commands()) {
    const auto space = command.path.find(' ');
    CLI::App& noun = add_below(app, command.path.substr(0, space));
    CLI::App& leaf = space == std::string::npos ? noun : add_below(noun, command.path.substr(space + 1));
    add_flags(leaf, flags);
    for (const auto& argument : command.arguments) leaf.add_option(argument.name);
  }
}

std::string where_to_read(const std::string& path) {
  return fmt::format("see: campaignctl {}--help", path.empty() ? "" : path + " ");
}

std::vector<std::string> flag_words(const std::vector<Flag>& flags) {
  std::vector<std::string> words;
  words.reserve(flags.size());
  for (const auto& flag : flags) words.push_back("--" + flag.name);
  return words;
}

Failure unknown_word(const std::string& word, const Command* command) {
  const std::string path = command == nullptr ? "" : command->path;
  if (word.starts_with("-")) {
    const auto name = word.substr(0, word.find('='));
    const auto known = flag_words(command != nullptr && command->run ? command->flags : all_flags());
    return usage(
        fmt::format("there is no flag {}{}; {}", name, did_you_mean(name, known), where_to_read(path)));
  }
  const auto below = words_below(path);
  if (!below.empty())
    return usage(fmt::format("there is no command {}{}{}; {}", path.empty() ? "" : path + " ", word,
                             did_you_mean(word, below), where_to_read(path)));
  return usage(fmt::format("{} does not know what to do with {}; {}", path, word, where_to_read(path)));
}

/// Whether what was given fits the command.
std::optional<Failure> check(const Parsed& parsed) {
  const Command& command = *parsed.command;
  if (!command.run)
    return usage(fmt::format("{} needs a verb: {}; {}", command.path, join(words_below(command.path), ", "),
                             where_to_read(command.path)));
  for (const auto& argument : command.arguments) {
    const auto found = parsed.given.find(argument.name);
    if (found == parsed.given.end())
      return usage(fmt::format("{} needs {}; {}", command.path, argument.name, where_to_read(command.path)));
    if (auto failure = check_choice(argument.name, found->second.back(), argument.choices)) return failure;
  }
  for (const auto& [name, values] : parsed.given) {
    const auto is_name = [&name = name](const Argument& argument) { return argument.name == name; };
    if (std::any_of(command.arguments.begin(), command.arguments.end(), is_name)) continue;
    const auto* flag = find_flag(command.flags, name);
    if (flag == nullptr)
      return usage(
          fmt::format("{} has no use for --{}; {}", command.path, name, where_to_read(command.path)));
    for (const auto& value : values) {
      if (auto failure = check_choice("--" + name, value, flag->choices)) return failure;
      if (flag->takes_word() && value.empty())
        return usage(fmt::format("--{} is empty; it takes {}", name, flag->value));
    }
  }
  return {};
}

}  // namespace

std::optional<Failure> check_choice(const std::string& what, const std::string& value,
                                    const std::vector<std::string>& choices) {
  if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return {};
  return usage(fmt::format("{} cannot be {}{}; it is one of {}", what, value.empty() ? "empty" : value,
                           did_you_mean(value, choices), join(choices, ", ")));
}

const Flag* find_flag(const std::vector<Flag>& flags, const std::string& name) {
  const auto found =
      std::find_if(flags.begin(), flags.end(), [&](const Flag& flag) { return flag.name == name; });
  return found == flags.end() ? nullptr : &*found;
}

const Command* find_command(const std::string& path) {
  for (const auto& command : commands())
    if (command.path == path) return &command;
  return nullptr;
}

std::vector<std::string> words_below(const std::string& path) {
  std::vector<std::string> words;
  const std::string prefix = path.empty() ? "" : path + " ";
  for (const auto& command : commands()) {
    if (!command.path.starts_with(prefix)) continue;
    const auto rest = command.path.substr(prefix.size());
    if (rest.find(' ') == std::string::npos) words.push_back(rest);
  }
  return words;
}

Parsed parse(const std::vector<std::string>& words) {
  Parsed parsed;
  CLI::App app;
  build(app);
  std::string error;
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // it takes them from the back
  } catch (const CLI::ArgumentMismatch& e) {
    const std::string what = e.what();  // "--name: …"
    error = what.substr(0, what.find(':')) + " needs a value";
  } catch (const CLI::ParseError& e) {
    error = e.what();
  }
  std::string path;
  std::string unknown;
  for (CLI::App* level = &app; level != nullptr;) {
    if (level != &app) path += (path.empty() ? "" : " ") + level->get_name();
    for (const auto* option : level->get_options()) {
      if (option->count() == 0) continue;
      auto& values = parsed.given[option->get_single_name()];
      for (const auto& value : option->results()) values.push_back(value);
    }
    if (const auto rest = level->remaining(); unknown.empty() && !rest.empty()) unknown = rest.front();
    const auto below = level->get_subcommands();
    level = below.empty() ? nullptr : below.front();
  }
  parsed.command = find_command(path);
  if (parsed.given.contains("help")) return parsed;
  if (!error.empty())
    parsed.failure = usage(fmt::format("{}; {}", error, where_to_read(path)));
  else if (!unknown.empty())
    parsed.failure = unknown_word(unknown, parsed.command);
  else if (parsed.command != nullptr)
    parsed.failure = check(parsed);
  return parsed;
}

}  // namespace cx::ctl
