#include "tools/campaignctl/cli.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <fmt/core.h>

#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace {

/// Flags of every command that was written by hand: one that a command has no use for is told from one that
/// there is not.
const std::vector<Flag>& common_flags() {
  static const std::vector<Flag> kFlags = [] {
    std::vector<Flag> flags = everywhere();
    flags.insert(flags.end(), asking().begin(), asking().end());
    for (const auto& command : commands())
      for (const auto& flag : command.flags)
        if (!command.from_contract && find_flag(flags, flag.name) == nullptr) flags.push_back(flag);
    return flags;
  }();
  return kFlags;
}

/// A flag that stands before its command, which is not known yet.
const Flag* flag_of_any(const std::string& word) {
  if (const auto* flag = flag_of(common_flags(), word)) return flag;
  for (const auto& command : commands())
    if (const auto* flag = flag_of(find_command(command.path)->flags, word)) return flag;
  return nullptr;
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

/// Everything that the command or another one takes, the command's own meaning of a name first.
void build(CLI::App& app, const Command* command) {
  app.set_help_flag();
  app.allow_extras();
  std::vector<Flag> flags = command == nullptr ? std::vector<Flag>{} : command->flags;
  for (const auto& flag : common_flags()) {
    if (find_flag(flags, flag.name) != nullptr) continue;
    Flag other = flag;
    if (other.letter != 0 && flag_of(flags, fmt::format("-{}", other.letter)) != nullptr) other.letter = 0;
    flags.push_back(std::move(other));
  }
  add_flags(app, flags);
  if (command != nullptr)
    for (const auto& argument : command->arguments) app.add_option(argument.name);
}

std::string where_to_read(const std::string& path) {
  return fmt::format("see: campaignctl {}--help", path.empty() ? "" : path + " ");
}

std::vector<std::string> flag_words(const std::vector<Flag>& flags) {
  std::vector<std::string> words;
  words.reserve(flags.size());
  for (const auto& flag : flags)
    if (!flag.hidden) words.push_back("--" + flag.name);
  return words;
}

Failure unknown_word(const std::string& word, const Command* command) {
  const std::string path = command == nullptr ? "" : command->path;
  if (word.starts_with("-")) {
    const auto name = word.substr(0, word.find('='));
    const auto known = flag_words(command != nullptr && command->run ? command->flags : common_flags());
    auto guess = did_you_mean(name, known);
    for (const auto& longer : known)
      if (guess.empty() && name.size() > 4 && longer.starts_with(name))
        guess = fmt::format(" (did you mean {}?)", longer);
    return usage(fmt::format("there is no flag {}{}; {}", name, guess, where_to_read(path)));
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
    if (found == parsed.given.end() && argument.optional) continue;
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
      if (flag->takes_word() && value.empty() && flag->value != "TEXT")
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

const Flag* flag_of(const std::vector<Flag>& flags, const std::string& word) {
  if (word.starts_with("--")) return find_flag(flags, word.substr(2, word.find('=') - 2));
  for (const auto& flag : flags)
    if (word.size() == 2 && word[0] == '-' && flag.letter == word[1]) return &flag;
  return nullptr;
}

namespace {

/// The word as it stands there; "show" is as good as "get", and "ls" as "list". Empty when it is none of
/// them.
std::string word_among(const std::vector<std::string>& known, const std::string& word) {
  const auto has = [&](const std::string& one) {
    return std::find(known.begin(), known.end(), one) != known.end();
  };
  if (has(word)) return word;
  if (word == "ls" && has("list")) return "list";
  return word == "show" && has("get") ? "get" : "";
}

}  // namespace

Way follow(const std::vector<std::string>& words) {
  Way way;
  bool arrived = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const bool is_flag = word.size() > 1 && word[0] == '-';
    if (arrived || word == "--" || is_flag) {
      arrived |= word == "--";
      way.rest.push_back(word);
      if (arrived || word.find('=') != word.npos) continue;
      const auto* flag = flag_of_any(word);
      if (flag != nullptr && flag->takes_word() && i + 1 < words.size()) way.rest.push_back(words[++i]);
    } else if (const auto next = word_among(words_below(way.path), word); !next.empty()) {
      way.path += (way.path.empty() ? "" : " ") + next;
      arrived = words_below(way.path).empty();
    } else {
      way.rest.push_back(word);
      arrived = true;
    }
  }
  return way;
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
  const auto way = follow(words);
  parsed.command = find_command(way.path);
  CLI::App app;
  build(app, parsed.command);
  std::string error;
  try {
    app.parse(std::vector<std::string>(way.rest.rbegin(), way.rest.rend()));  // it takes them from the back
  } catch (const CLI::ArgumentMismatch& e) {
    const std::string what = e.what();  // "--name: …"
    error = what.substr(0, what.find(':')) + " needs a value";
  } catch (const CLI::ParseError& e) {
    error = e.what();
  }
  for (const auto* option : app.get_options()) {
    if (option->count() == 0) continue;
    auto& values = parsed.given[option->get_single_name()];
    for (const auto& value : option->results()) values.push_back(value);
  }
  const auto unknown = app.remaining();
  if (parsed.given.contains("help")) return parsed;
  if (!error.empty())
    parsed.failure = usage(fmt::format("{}; {}", error, where_to_read(way.path)));
  else if (!unknown.empty())
    parsed.failure = unknown_word(unknown.front(), parsed.command);
  else if (parsed.command != nullptr)
    parsed.failure = check(parsed);
  return parsed;
}

}  // namespace cx::ctl
