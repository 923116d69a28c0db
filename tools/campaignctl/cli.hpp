#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

struct Parsed {
  const Command* command = nullptr;                       ///< none: only flags were given
  std::map<std::string, std::vector<std::string>> given;  ///< flags and arguments by name
  std::optional<Failure> failure;                         ///< the rest is then what could be understood
};

/// Understands a command line (without the program's name). Flags may stand anywhere; one that the command
/// has no use for is a failure, and so is a word that nothing is called by.
Parsed parse(const std::vector<std::string>& words);

/// The command that words lead to, and those that do not name it. `path` may be no command's, only a noun's,
/// or empty.
struct Way {
  std::string path;
  std::vector<std::string> rest;
};
Way follow(const std::vector<std::string>& words);

/// Help for one command, or for all when there is none.
std::string help(const Command* command);

/// What could stand in place of the last of `words`, one candidate a line; the line ":files" asks the shell
/// for files.
std::string complete(const std::vector<std::string>& words, const Settings& settings);

/// The verbs of a noun; the nouns and the commands without one for "".
std::vector<std::string> words_below(const std::string& path);
/// A usage failure unless `value` is one of `choices`, or there are none.
std::optional<Failure> check_choice(const std::string& what, const std::string& value,
                                    const std::vector<std::string>& choices);
/// By "--name", "--name=value" or "-n"; null where there is none.
const Flag* flag_of(const std::vector<Flag>& flags, const std::string& word);
const Flag* find_flag(const std::vector<Flag>& flags, const std::string& name);

}  // namespace cx::ctl
