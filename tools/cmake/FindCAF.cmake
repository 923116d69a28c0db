# Finds the C++ Actor Framework, for which Debian ships no CMake package file.
# Targets: CAF::core, CAF::io, CAF::openssl (the last two where installed).
find_path(CAF_INCLUDE_DIR caf/config.hpp)
foreach(component core io openssl)
  find_library(CAF_${component}_LIBRARY caf_${component})
endforeach()

if(CAF_INCLUDE_DIR)
  file(STRINGS ${CAF_INCLUDE_DIR}/caf/config.hpp caf_version_line REGEX "#define CAF_VERSION +[0-9]+")
  string(REGEX REPLACE ".*CAF_VERSION +([0-9]+).*" "\\1" caf_version "${caf_version_line}")
  math(EXPR caf_major "${caf_version} / 10000")
  math(EXPR caf_minor "(${caf_version} / 100) % 100")
  math(EXPR caf_patch "${caf_version} % 100")
  set(CAF_VERSION ${caf_major}.${caf_minor}.${caf_patch})
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF REQUIRED_VARS CAF_core_LIBRARY CAF_INCLUDE_DIR VERSION_VAR CAF_VERSION)

foreach(component core io openssl)
  if(CAF_FOUND AND CAF_${component}_LIBRARY AND NOT TARGET CAF::${component})
    add_library(CAF::${component} UNKNOWN IMPORTED)
    set_target_properties(CAF::${component} PROPERTIES IMPORTED_LOCATION ${CAF_${component}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${CAF_INCLUDE_DIR}
      INTERFACE_COMPILE_DEFINITIONS CAF_ENABLE_TYPE_ID_CHECKS)
    if(NOT component STREQUAL core)
      set_property(TARGET CAF::${component} APPEND PROPERTY INTERFACE_LINK_LIBRARIES CAF::core)
    endif()
  endif()
endforeach()
mark_as_advanced(CAF_INCLUDE_DIR CAF_core_LIBRARY CAF_io_LIBRARY CAF_openssl_LIBRARY)
