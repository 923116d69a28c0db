#include "tools/loadgen/process.hpp"

#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

namespace cx::loadgen {

Result<ProcessUsage> process_usage(std::int32_t pid) {
  const std::string folder = fmt::format("/proc/{}/", pid);
  ProcessUsage usage;

  std::string stat;
  std::getline(std::ifstream(folder + "stat"), stat);
  // The second field is a name in parentheses that may hold anything; utime and stime are the 14th and 15th.
  const std::size_t name_end = stat.rfind(')');
  std::istringstream fields(name_end == std::string::npos ? "" : stat.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0, system = 0;
  if (!(fields >> user >> system))
    return Error{Code::not_found, "no-process",
                 fmt::format("--pid {}: cannot read {}stat; is the server running?", pid, folder), ""};
  usage.cpu_seconds = (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));

  std::ifstream status(folder + "status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) usage.peak_bytes = std::stoull(line.substr(6)) * 1024;
  return usage;
}

}  // namespace cx::loadgen
