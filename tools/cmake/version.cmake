# include(version) gives the object library cx_version, which defines what tools/version.hpp declares. Every build looks at
# its source and rewrites it only when it changes.
# As a script (cmake -DSOURCE=dir -DOUTPUT=file -DVERSION=v -DBUILD=type -P version.cmake) it writes the source.
if(CMAKE_SCRIPT_MODE_FILE)
  execute_process(COMMAND git rev-parse --short=12 HEAD
    WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE COMMIT RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(failed)
    set(COMMIT unknown)
  endif()
  file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
#include "tools/version.hpp"

namespace cx {
const std::string_view kVersion = "@VERSION@";
const std::string_view kCommit = "@COMMIT@";
const std::string_view kBuild = "@BUILD@";
}  // namespace cx
]])
else()
  set(cx_version_source ${PROJECT_BINARY_DIR}/generated/version.cpp)
  add_custom_target(cx_version_source
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DOUTPUT=${cx_version_source} -DVERSION=${PROJECT_VERSION}
            -DBUILD=${CMAKE_BUILD_TYPE} -P ${CMAKE_CURRENT_LIST_FILE}
    BYPRODUCTS ${cx_version_source}
    COMMENT "")
  add_library(cx_version OBJECT ${cx_version_source})
  target_include_directories(cx_version PUBLIC ${PROJECT_SOURCE_DIR})
  add_dependencies(cx_version cx_version_source)
endif()
