#include "tools/loadgen/target.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <fmt/format.h>

namespace cx::loadgen {
namespace {

Error refuse(std::string_view url, std::string_view why) {
  return {Code::invalid_argument, "bad-url", fmt::format("--url {}: {}", url, why), ""};
}

}  // namespace

Result<Target> parse_target(std::string_view url) {
  constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme))
    return refuse(url, "only http:// is supported; try http://127.0.0.1:8080/v1/bid.");
  const std::string_view rest = url.substr(scheme.size());
  const std::string_view authority = rest.substr(0, rest.find('/'));
  Target target;
  target.host = authority;
  target.path = authority.size() == rest.size() ? "/" : rest.substr(authority.size());
  const bool has_ids = target.path.find("#########") != std::string::npos;  // see Template
  if (target.path.find_first_of(has_ids ? " \t\r\n" : " \t\r\n#") != std::string::npos)
    return refuse(url, "the path has a character that a request line cannot carry; percent-encode it.");

  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  const std::size_t colon = bracket == std::string_view::npos ? bracket : authority.find(':', bracket);
  std::uint16_t port = 80;
  if (colon != std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0)
      return refuse(url, fmt::format("\"{}\" is not a port; use 1 to 65535.", digits));
  }

  std::string host(authority.substr(0, colon));
  if (host == "localhost") host = "127.0.0.1";
  if (host == "[::1]") {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(target.address);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    target.address_size = sizeof v6;
    return target;
  }
  auto& v4 = reinterpret_cast<sockaddr_in&>(target.address);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  target.address_size = sizeof v4;
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1 ||
      (ntohl(v4.sin_addr.s_addr) >> 24) != IN_LOOPBACKNET)
    return refuse(
        url,
        fmt::format("\"{}\" is not this machine; load goes only to 127.x.x.x, [::1] or localhost.", host));
  return target;
}

}  // namespace cx::loadgen
