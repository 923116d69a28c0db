# include(version) gives the target cx_version, whose header cx_version.hpp names this build. The header is looked at by
# every build but rewritten only when it changes, so that a commit recompiles only the few sources that include it.
# As a script (cmake -DSOURCE=dir -DOUTPUT=file -DVERSION=v -DBUILD=type -P version.cmake) it writes the header.
if(CMAKE_SCRIPT_MODE_FILE)
  execute_process(COMMAND git describe --always --dirty --abbrev=12 --exclude=*
    WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE COMMIT RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(failed)
    set(COMMIT unknown)
  endif()
  file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
#pragma once

#include <string_view>

namespace cx {
inline constexpr std::string_view kVersion = "@VERSION@";
inline constexpr std::string_view kCommit = "@COMMIT@";  ///< "-dirty" when files differ from it; "unknown" outside git
inline constexpr std::string_view kBuild = "@BUILD@";    ///< CMake build type
}  // namespace cx
]])
elseif(NOT TARGET cx_version)
  set(cx_version_header ${PROJECT_BINARY_DIR}/generated/cx_version.hpp)
  add_custom_target(cx_version_header
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DOUTPUT=${cx_version_header} -DVERSION=${PROJECT_VERSION}
            -DBUILD=${CMAKE_BUILD_TYPE} -P ${CMAKE_CURRENT_LIST_FILE}
    BYPRODUCTS ${cx_version_header}
    COMMENT "")
  add_library(cx_version INTERFACE)
  target_include_directories(cx_version INTERFACE ${PROJECT_BINARY_DIR}/generated)
  add_dependencies(cx_version cx_version_header)
endif()
