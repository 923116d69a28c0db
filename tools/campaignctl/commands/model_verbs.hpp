#pragma once

#include <vector>

#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

/// `model train` and `model evaluate`.
std::vector<Command> model_learning_commands();

}  // namespace cx::ctl
