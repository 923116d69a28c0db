#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

#include "runtime/error.hpp"

// Which servers we call when somebody else says where: nobody may have us call our own network.

namespace cx::net {

/// The server that a URL names.
struct Host {
  std::string scheme, name;  ///< name without the brackets of an IPv6 address
  std::uint16_t port = 0;
  bool literal = false;   ///< stands for itself: an address, or "localhost"
  bool loopback = false;  ///< and is this machine
};
/// Nothing for what is no http or https URL of a server, and for one with a user in it.
std::optional<Host> host_of(const std::string& url);

/// Whether an address is one of the public Internet, by IANA's registries of special-purpose addresses.
bool is_public(const sockaddr& address);

/// Servers that may be called although they are private.
class PrivateHosts {
 public:
  /// Each entry is ADDRESS:PORT, [ADDRESS6]:PORT, NAME:PORT (wherever that name leads) or a network in CIDR
  /// notation. Errors: "invalid-private-host", which quotes the entry.
  static Result<PrivateHosts> parse(std::span<const std::string> entries);

  bool has(const sockaddr& address) const;
  bool has_name(std::string_view name, std::uint16_t port) const;

 private:
  struct Net {
    std::string prefix;  // 4 or 16 bytes
    int bits = 0;
    std::uint16_t port = 0;  // 0: any
  };
  struct Named {
    std::string name;
    std::uint16_t port = 0;
  };
  std::vector<Net> nets_;
  std::vector<Named> names_;
};

/// Whether a URL that a stranger gave may be called: https, or http of one of `allowed`, and no private
/// address but those. What a name resolves to is not known here: guard() sees to that. "invalid-url" says why
/// not.
std::optional<Error> check_url(const std::string& url, const PrivateHosts& allowed);

/// Has a request of libcurl (a CURL*) fail to connect to what is not public, whatever a name resolves to,
/// unless `allowed` has the address or `by_name` says that it has the name. `guard` outlives the transfer.
struct Guard {
  const PrivateHosts* allowed = nullptr;  ///< none when null
  bool by_name = false;
};
void set_guard(void* curl, const Guard* guard);

}  // namespace cx::net
