#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/campaignctl/settings.hpp"

namespace cx::ctl {

struct Request {
  std::string path;  ///< "/v1/topology"
  /// Sent with POST when there is a content type, else GET, unless `verb` says otherwise.
  std::string content_type = {};
  std::string body = {};
  std::string verb = {};
  std::vector<std::pair<std::string, std::string>> fields =
      {};                  ///< more of the header; values without line ends
  bool anonymous = false;  ///< sent without a credential

  std::string method() const { return !verb.empty() ? verb : content_type.empty() ? "GET" : "POST"; }
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
/// Whether the address names this machine: what is sent there is seen by nobody on the way.
bool is_loopback(const std::string& url);

/// One HTTP/1.1 exchange on a connection of its own, over TLS 1.2 or newer for https. `timeout` covers all of
/// it, looking the name up included. A status outside 2xx is a failure that carries the server's problem
/// document. `ca_file`: PEM of whom to trust instead of the system's authorities; empty for those.
Outcome<Response> exchange(const Setting& server, const Request& request, std::chrono::milliseconds timeout,
                           const std::string& ca_file = {});

}  // namespace cx::ctl
