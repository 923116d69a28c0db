#pragma once

#include <string_view>

namespace cx {

/// Names this build; defined in a source that the build generates, so that a commit recompiles nothing else.
extern const std::string_view kVersion;
extern const std::string_view kCommit;  ///< "unknown" outside of git
extern const std::string_view kBuild;   ///< CMake build type

}  // namespace cx
