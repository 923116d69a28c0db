# Runs a libFuzzer binary for ten seconds (CX_LONG: two minutes) on a fresh copy of its seeds.
#   cmake -DCLANGXX= -DFUZZER= -DDICTIONARY= -DSEEDS= -DSOURCE_DIR= -DFOLDER= -P run.cmake
if(NOT CLANGXX)
  message(FATAL_ERROR "clang++-14 is missing, so there is no fuzzer; install clang-14 and configure again.")
endif()
if(NOT EXISTS ${FUZZER})
  message(FATAL_ERROR "${FUZZER} is missing; build the target cx_openrtb_fuzz first.")
endif()

set(seconds 10)
if(DEFINED ENV{CX_LONG})
  set(seconds 120)
endif()
set(shared $ENV{CX_SHARED})
if(NOT shared)
  set(shared ${SOURCE_DIR}/../shared)
endif()
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER}/corpus ${FOLDER}/findings)
file(GLOB seeds ${SEEDS}/* ${shared}/conformance/openrtb/valid/* ${shared}/conformance/openrtb/invalid/*)
file(COPY ${seeds} DESTINATION ${FOLDER}/corpus)

execute_process(
  COMMAND ${FUZZER} -max_total_time=${seconds} -timeout=5 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1
          -dict=${DICTIONARY} -artifact_prefix=${FOLDER}/findings/ ${FOLDER}/corpus
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "The fuzzer failed (${result}); the input is in ${FOLDER}/findings.")
endif()
