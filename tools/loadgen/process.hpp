#pragma once

#include <cstdint>

#include "runtime/error.hpp"

namespace cx::loadgen {

struct ProcessUsage {
  double cpu_seconds = 0;        ///< user and system, all threads, since it started; in steps of 10 ms
  std::uint64_t peak_bytes = 0;  ///< largest resident set so far
};

/// Reads /proc/PID/stat and /proc/PID/status (proc(5)).
Result<ProcessUsage> process_usage(std::int32_t pid);

}  // namespace cx::loadgen
