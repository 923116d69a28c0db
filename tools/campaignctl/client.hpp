#pragma once

#include <chrono>
#include <map>
#include <string>

#include "tools/campaignctl/settings.hpp"

namespace cx::ctl {

struct Request {
  std::string path;  ///< "/v1/topology"
  /// Sent with POST when there is a content type, else GET.
  std::string content_type = {};
  std::string body = {};
};

struct Response {
  unsigned status = 0;  ///< 2xx
  std::string body;
  std::map<std::string, std::string> fields;  ///< names in lower case
  double ms = 0;                              ///< from the first byte sent to the last received
};

/// Largest body that is sent or received.
inline constexpr std::size_t kMaxBody = 64 << 20;

/// Whether the server's address is one that exchange() takes; else a failure that says why not.
Outcome<void> check_url(const Setting& server);

/// One HTTP/1.1 exchange on a connection of its own. `timeout` covers all of it, looking the name up
/// included. A status outside 2xx is a failure that carries the server's problem document.
Outcome<Response> exchange(const Setting& server, const Request& request, std::chrono::milliseconds timeout);

}  // namespace cx::ctl
