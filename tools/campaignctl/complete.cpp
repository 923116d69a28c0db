#include <algorithm>

#include "tools/campaignctl/cli.hpp"
#include "tools/campaignctl/contract/live.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace {

struct Candidates {
  std::vector<std::string> words;
  bool files = false;
};

Candidates offered(const std::vector<std::string>& choices, Offer offer, const std::string& path,
                   const Settings& settings) {
  if (offer == Offer::files) return {{}, true};
  Candidates candidates{choices, false};
  if (offer == Offer::contexts)
    if (const auto contexts = settings.contexts())  // a broken file is for other commands to complain about
      for (const auto& [name, context] : contexts->all) candidates.words.push_back(name);
  if (offer == Offer::ids) candidates.words = live_names(path.substr(0, path.find(' ')), settings);
  return candidates;
}

/// Every flag that the command may take, or that some verb of the noun does; without one, those of all.
std::vector<Flag> flags_of(const std::string& path) {
  const auto* command = find_command(path);
  if (command != nullptr && command->run) return command->flags;
  std::vector<Flag> flags;
  for (const auto& verb : command == nullptr ? std::vector<std::string>{} : words_below(path))
    for (const auto& flag : find_command(path + " " + verb)->flags)
      if (find_flag(flags, flag.name) == nullptr) flags.push_back(flag);
  for (const auto* common : {&everywhere(), &asking()})
    for (const auto& flag : *common)
      if (command == nullptr) flags.push_back(flag);
  return flags;
}

Candidates candidates_for(const std::vector<std::string>& words, const Settings& settings) {
  const auto way = follow({words.begin(), words.end() - 1});
  const auto flags = flags_of(way.path);
  std::size_t arguments = 0;
  const Flag* open = nullptr;  // a flag that waits for its value
  bool flags_over = false;
  for (const auto& word : way.rest) {
    if (open != nullptr) {
      open = nullptr;
    } else if (word == "--" && !flags_over) {
      flags_over = true;
    } else if (!flags_over && word.size() > 1 && word[0] == '-') {
      const auto* flag = flag_of(flags, word);
      if (flag != nullptr && flag->takes_word() && word.find('=') == word.npos) open = flag;
    } else {
      ++arguments;
    }
  }

  const std::string& last = words.back();
  const auto* command = find_command(way.path);
  if (open != nullptr) return offered(open->choices, open->offer, way.path, settings);
  if (!flags_over && last.starts_with("-")) {
    Candidates candidates;
    if (const auto equals = last.find('='); equals != last.npos) {
      if (const auto* flag = flag_of(flags, last))
        candidates = offered(flag->choices, flag->offer, way.path, settings);
      for (auto& word : candidates.words) word.insert(0, last.substr(0, equals + 1));
      return candidates;
    }
    for (const auto& flag : flags)
      if (!flag.hidden) candidates.words.push_back("--" + flag.name);
    return candidates;
  }
  if (command == nullptr || !command->run) return {words_below(way.path), false};
  if (arguments >= command->arguments.size()) return {};
  const auto& argument = command->arguments[arguments];
  return offered(argument.choices, argument.offer, way.path, settings);
}

}  // namespace

std::string complete(const std::vector<std::string>& words, const Settings& settings) {
  if (words.empty()) return "";
  const auto candidates = candidates_for(words, settings);
  std::string out;
  for (const auto& word : candidates.words)
    if (word.starts_with(words.back())) out += word + "\n";
  return candidates.files ? out + ":files\n" : out;
}

}  // namespace cx::ctl
