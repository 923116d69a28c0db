#include <algorithm>

#include "tools/campaignctl/cli.hpp"
#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace {

struct Candidates {
  std::vector<std::string> words;
  bool files = false;
};

Candidates offered(const std::vector<std::string>& choices, Offer offer, const Settings& settings) {
  if (offer == Offer::files) return {{}, true};
  Candidates candidates{choices, false};
  if (offer == Offer::contexts)
    if (const auto contexts = settings.contexts())  // a broken file is for other commands to complain about
      for (const auto& [name, context] : contexts->all) candidates.words.push_back(name);
  return candidates;
}

const Flag* flag_of(const std::vector<Flag>& flags, const std::string& word) {
  if (word.starts_with("--")) return find_flag(flags, word.substr(2, word.find('=') - 2));
  for (const auto& flag : flags)
    if (word.size() == 2 && word[0] == '-' && flag.letter == word[1]) return &flag;
  return nullptr;
}

/// Every flag that the command may take, or that some command takes when there is none yet.
std::vector<Flag> flags_of(const Command* command) {
  if (command != nullptr && command->run) return command->flags;
  std::vector<Flag> flags;
  for (const auto& any : commands())
    for (const auto& flag : any.flags)
      if (any.path.starts_with(command == nullptr ? "" : command->path) &&
          find_flag(flags, flag.name) == nullptr)
        flags.push_back(flag);
  return flags;
}

Candidates candidates_for(const std::vector<std::string>& words, const Settings& settings) {
  std::string path;
  std::size_t arguments = 0;
  const Flag* open = nullptr;  // a flag that waits for its value
  bool flags_over = false;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    const auto* command = find_command(path);
    const auto flags = flags_of(command);
    if (open != nullptr) {
      open = nullptr;
    } else if (word == "--") {
      flags_over = true;
    } else if (!flags_over && word.size() > 1 && word[0] == '-') {
      const auto* flag = flag_of(flags, word);
      // The flag outlives this loop only as a part of commands().
      if (flag != nullptr && flag->takes_word() && word.find('=') == word.npos)
        for (const auto& any : commands())
          if (const auto* kept = find_flag(any.flags, flag->name)) open = kept;
    } else if (const auto below = words_below(path);
               std::find(below.begin(), below.end(), word) != below.end()) {
      path += (path.empty() ? "" : " ") + word;
    } else {
      ++arguments;
    }
  }

  const std::string& last = words.back();
  const auto* command = find_command(path);
  const auto flags = flags_of(command);
  if (open != nullptr) {
    const auto* own = find_flag(flags, open->name);
    return own == nullptr ? Candidates{} : offered(own->choices, own->offer, settings);
  }
  if (!flags_over && last.starts_with("-")) {
    Candidates candidates;
    if (const auto equals = last.find('='); equals != last.npos) {
      if (const auto* flag = flag_of(flags, last)) candidates = offered(flag->choices, flag->offer, settings);
      for (auto& word : candidates.words) word.insert(0, last.substr(0, equals + 1));
      return candidates;
    }
    for (const auto& flag : flags) candidates.words.push_back("--" + flag.name);
    return candidates;
  }
  if (command == nullptr || !command->run) return {words_below(path), false};
  if (arguments >= command->arguments.size()) return {};
  const auto& argument = command->arguments[arguments];
  return offered(argument.choices, argument.offer, settings);
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
