#pragma once

#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>

#include "runtime/error.hpp"

namespace cx::loadgen {

/// Where the load goes. Always this machine.
struct Target {
  sockaddr_storage address{};
  socklen_t address_size = 0;
  std::string host;  ///< the Host field: "127.0.0.1:8080"
  std::string path;  ///< "/v1/bid"
  std::string key;   ///< API key to show; empty for none
};

/// Reads "http://HOST:PORT/PATH" (RFC 3986), where HOST is an address in 127.0.0.0/8, "[::1]" or "localhost",
/// and the port is 80 when absent. Any other host is refused: this tool is not for hitting other people's
/// machines.
Result<Target> parse_target(std::string_view url);

}  // namespace cx::loadgen
