#pragma once

#include <cstdint>
#include <string>

#include "providers/inference/learning/decisions.hpp"
#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

/// The decisions that `model train` and `model evaluate` are about.
struct Gathered {
  inference::learning::Decisions decisions;  ///< in order of time
  std::string question;                      ///< "click within 24h"
  std::string told;                          ///< how many there were, and why how many were left out
};

/// Flags that say which decisions, and what of them is to be forecast.
std::vector<Flag> decision_flags();

/// Reads the file that --decisions names, the JSON of a decision a line, packed or not, or else asks the
/// server for all decisions since --since. Progress goes to stderr. A failure where there is nothing to learn
/// of: no decision that was shown, or none that says its features.
Outcome<Gathered> gather_decisions(const Call& call);

}  // namespace cx::ctl
