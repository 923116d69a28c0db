#pragma once

#include <string>
#include <vector>

#include "tools/campaignctl/settings.hpp"

namespace cx::ctl {

/// The names that `NOUN list` lists, up to 1,000, for completion: asked for at most 200 ms, and kept for 5 s
/// in the cache folder. None where that fails.
std::vector<std::string> live_names(const std::string& noun, const Settings& settings);

}  // namespace cx::ctl
