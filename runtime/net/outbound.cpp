#include "runtime/net/outbound.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>
#include <netinet/in.h>

namespace cx::net {
namespace {

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

constexpr std::size_t kMostUrl = 2000;

std::string part(const Url& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return {};
  std::string out(text);
  curl_free(text);
  return out;
}

/// The bytes of a numeric address, 4 or 16; empty for anything else.
std::string bytes_of(const std::string& text) {
  in_addr four{};
  in6_addr six{};
  if (inet_pton(AF_INET, text.c_str(), &four) == 1)
    return {reinterpret_cast<const char*>(&four), sizeof(four)};
  if (inet_pton(AF_INET6, text.c_str(), &six) == 1) return {reinterpret_cast<const char*>(&six), sizeof(six)};
  return {};
}

/// The same of a socket's address, an IPv4 address in IPv6 clothes as what it is, and its port.
std::pair<std::string, std::uint16_t> bytes_of(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& four = reinterpret_cast<const sockaddr_in&>(address);
    return {{reinterpret_cast<const char*>(&four.sin_addr), 4}, ntohs(four.sin_port)};
  }
  if (address.sa_family != AF_INET6) return {};
  const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
  const std::size_t skip = IN6_IS_ADDR_V4MAPPED(&six.sin6_addr) ? 12 : 0;
  return {{reinterpret_cast<const char*>(&six.sin6_addr) + skip, 16 - skip}, ntohs(six.sin6_port)};
}

bool in_net(std::string_view address, std::string_view prefix, int bits) {
  if (address.size() != prefix.size()) return false;
  const auto whole = static_cast<std::size_t>(bits) / 8;
  if (address.substr(0, whole) != prefix.substr(0, whole)) return false;
  if (bits % 8 == 0) return true;
  const auto differ = static_cast<unsigned char>(address[whole]) ^ static_cast<unsigned char>(prefix[whole]);
  return differ >> (8 - bits % 8) == 0;
}

bool is_public_v4(std::uint32_t a) {
  struct Range {
    std::uint32_t prefix;
    int bits;
  };
  // IANA's registry of special-purpose addresses, multicast and what is reserved.
  constexpr std::array<Range, 15> kSpecial{{{0x00000000, 8},
                                            {0x0a000000, 8},
                                            {0x64400000, 10},
                                            {0x7f000000, 8},
                                            {0xa9fe0000, 16},
                                            {0xac100000, 12},
                                            {0xc0000000, 24},
                                            {0xc0000200, 24},
                                            {0xc0586300, 24},
                                            {0xc0a80000, 16},
                                            {0xc6120000, 15},
                                            {0xc6336400, 24},
                                            {0xcb007100, 24},
                                            {0xe0000000, 4},
                                            {0xf0000000, 4}}};
  for (const auto& range : kSpecial)
    if ((a ^ range.prefix) >> (32 - range.bits) == 0) return false;
  return true;
}

bool is_public_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.size() == 4)
    return is_public_v4(static_cast<std::uint32_t>(byte(0)) << 24 |
                        static_cast<std::uint32_t>(byte(1)) << 16 | static_cast<std::uint32_t>(byte(2)) << 8 |
                        byte(3));
  if (text.size() != 16) return false;
  // Global unicast is 2000::/3; not those of it that tunnel IPv4 (2002::/16, 2001::/32) or document
  // (2001:db8::/32).
  if ((byte(0) & 0xe0) != 0x20) return false;
  if (byte(0) == 0x20 && byte(1) == 0x02) return false;
  const bool special = byte(0) == 0x20 && byte(1) == 0x01 &&
                       ((byte(2) == 0 && byte(3) == 0) || (byte(2) == 0x0d && byte(3) == 0xb8));
  return !special;
}

std::optional<int> number(std::string_view text, int most) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > most)
    return std::nullopt;
  return value;
}

curl_socket_t open_guarded(void* data, curlsocktype, curl_sockaddr* to) {
  const auto& guard = *static_cast<const Guard*>(data);
  const bool may =
      guard.by_name || is_public(to->addr) || (guard.allowed != nullptr && guard.allowed->has(to->addr));
  return may ? ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol) : CURL_SOCKET_BAD;
}

}  // namespace

std::optional<Host> host_of(const std::string& text) {
  const Url url(curl_url(), curl_url_cleanup);
  if (text.size() > kMostUrl || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return std::nullopt;
  if (!part(url, CURLUPART_USER).empty() || !part(url, CURLUPART_PASSWORD).empty()) return std::nullopt;
  Host host;
  host.scheme = part(url, CURLUPART_SCHEME);
  host.name = part(url, CURLUPART_HOST);
  const auto port = number(part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT), 65535);
  if ((host.scheme != "https" && host.scheme != "http") || host.name.empty() || !port) return std::nullopt;
  host.port = static_cast<std::uint16_t>(*port);
  if (host.name.starts_with('[') && host.name.ends_with(']'))
    host.name = host.name.substr(1, host.name.size() - 2);
  for (auto& c : host.name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const auto bytes = bytes_of(host.name);
  host.literal = !bytes.empty() || host.name == "localhost";
  host.loopback = host.name == "localhost" || (bytes.size() == 4 && bytes[0] == 127) ||
                  bytes == std::string(15, '\0') + '\1';
  return host;
}

bool is_public(const sockaddr& address) {
  return is_public_bytes(bytes_of(address).first);
}

Result<PrivateHosts> PrivateHosts::parse(std::span<const std::string> entries) {
  PrivateHosts out;
  for (const auto& entry : entries) {
    const Error wrong{Code::invalid_argument, "invalid-private-host",
                      fmt::format("'{:.100}' is no private host: write 127.0.0.1:8025, [::1]:8025, "
                                  "mail.internal:8025 or 10.1.0.0/16.",
                                  entry),
                      ""};
    if (const auto slash = entry.find('/'); slash != entry.npos) {
      auto prefix = bytes_of(entry.substr(0, slash));
      const auto bits =
          number(std::string_view(entry).substr(slash + 1), static_cast<int>(prefix.size()) * 8);
      if (prefix.empty() || !bits) return wrong;
      out.nets_.push_back({std::move(prefix), *bits, 0});
      continue;
    }
    const auto colon = entry.rfind(':');
    if (colon == entry.npos) return wrong;
    const auto port = number(std::string_view(entry).substr(colon + 1), 65535);
    auto name = entry.substr(0, colon);
    const bool bracketed = name.starts_with('[') && name.ends_with(']');
    if (bracketed) name = name.substr(1, name.size() - 2);
    if (!port || *port == 0 || name.empty()) return wrong;
    if (auto bytes = bytes_of(name); !bytes.empty()) {
      if ((bytes.size() == 16) != bracketed) return wrong;
      const auto bits = static_cast<int>(bytes.size()) * 8;
      out.nets_.push_back({std::move(bytes), bits, static_cast<std::uint16_t>(*port)});
    } else if (bracketed || name.find_first_of(":@[]* ") != name.npos) {
      return wrong;
    } else {
      out.names_.push_back({std::move(name), static_cast<std::uint16_t>(*port)});
    }
  }
  return out;
}

bool PrivateHosts::has(const sockaddr& address) const {
  const auto [bytes, port] = bytes_of(address);
  return std::any_of(nets_.begin(), nets_.end(), [&bytes = bytes, port = port](const Net& net) {
    return (net.port == 0 || net.port == port) && in_net(bytes, net.prefix, net.bits);
  });
}

bool PrivateHosts::has_name(std::string_view name, std::uint16_t port) const {
  if (std::any_of(names_.begin(), names_.end(),
                  [&](const Named& named) { return named.name == name && named.port == port; }))
    return true;
  // What is allowed by address is so by that address as a name.
  const auto bytes = bytes_of(name == "localhost" ? "127.0.0.1" : std::string(name));
  return std::any_of(nets_.begin(), nets_.end(), [&](const Net& net) {
    return (net.port == 0 || net.port == port) && in_net(bytes, net.prefix, net.bits);
  });
}

std::optional<Error> check_url(const std::string& url, const PrivateHosts& allowed) {
  const auto wrong = [&](const char* what) {
    return Error{Code::invalid_argument, "invalid-url", fmt::format("'{:.200}' {}", url, what), ""};
  };
  const auto host = host_of(url);
  if (!host) return wrong("is no URL of a server, as https://example.com/hook, without a user in it.");
  if (allowed.has_name(host->name, host->port)) return std::nullopt;
  const auto bytes = bytes_of(host->name);
  if (host->loopback || (!bytes.empty() && !is_public_bytes(bytes)))
    return wrong(
        "leads into a private network. Use a public server, or have the node's operator allow it by "
        "channels.allow_private.");
  if (host->scheme != "https") return wrong("is not https. Use TLS.");
  return std::nullopt;
}

void set_guard(void* curl, const Guard* guard) {
  static const Guard kNobody;
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_guarded);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA,
                   const_cast<Guard*>(guard == nullptr ? &kNobody : guard));  // libcurl's type; only read
}

}  // namespace cx::net
