#pragma once

#include <string>

#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

// What a command asks before it changes or destroys something. Nothing waits for an answer where there is no
// terminal, or with --no-input: then the flag that answers is named.

extern const Flag kYes;      ///< "yes", of commands that change
extern const Flag kConfirm;  ///< "confirm", of commands that destroy

/// Whether somebody can be asked; a usage failure that names `flag` where not.
Outcome<void> can_ask(const Call& call, const Flag& flag);

/// A line that somebody types at the terminal of stdin; what there was when it ends.
std::string ask_line(const std::string& prompt);
/// Asks `question`, to be answered by yes or no.
Outcome<void> ask_yes(const std::string& question);
/// Says `warning` and has `name` typed.
Outcome<void> ask_name(const std::string& warning, const std::string& name);

}  // namespace cx::ctl
