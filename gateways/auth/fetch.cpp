#include "gateways/auth/fetch.hpp"

#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>
#include <netinet/in.h>
#include <unistd.h>

namespace cx::auth {
namespace {

constexpr std::size_t kMostBytes = 256 * 1024;
constexpr long kConnectMs = 3000, kTotalMs = 5000;

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

/// The host of a URL and whether it stands for itself: an address, or "localhost".
struct Host {
  std::string scheme, name;
  bool literal = false, loopback = false;
};

std::string part(const Url& url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, 0) != CURLUE_OK) return {};
  std::string out(text);
  curl_free(text);
  return out;
}

std::optional<Host> host_of(const std::string& text) {
  const Url url(curl_url(), curl_url_cleanup);
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return std::nullopt;
  if (!part(url, CURLUPART_USER).empty() || !part(url, CURLUPART_PASSWORD).empty()) return std::nullopt;
  Host host{part(url, CURLUPART_SCHEME), part(url, CURLUPART_HOST), false, false};
  auto bare = host.name;
  if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
  in_addr four{};
  in6_addr six{};
  if (bare == "localhost") {
    host.literal = host.loopback = true;
  } else if (inet_pton(AF_INET, bare.c_str(), &four) == 1) {
    host.literal = true;
    host.loopback = ntohl(four.s_addr) >> 24 == 127;
  } else if (inet_pton(AF_INET6, bare.c_str(), &six) == 1) {
    host.literal = true;
    host.loopback = IN6_IS_ADDR_LOOPBACK(&six);
  }
  return host;
}

std::size_t take_body(char* bytes, std::size_t, std::size_t n, void* to) {
  auto& body = *static_cast<std::string*>(to);
  if (body.size() + n > kMostBytes) return 0;  // ends the transfer
  body.append(bytes, n);
  return n;
}

/// Finds max-age in a header line "Cache-Control: public, max-age=60".
std::size_t take_header(char* bytes, std::size_t, std::size_t n, void* to) {
  std::string line(bytes, n);
  for (auto& c : line) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  constexpr std::string_view kName = "cache-control:", kAge = "max-age=";
  if (!line.starts_with(kName)) return n;
  auto& age = *static_cast<std::int64_t*>(to);
  if (const auto at = line.find(kAge); at != line.npos)
    std::from_chars(line.data() + at + kAge.size(), line.data() + line.size(), age);
  if (line.find("no-store") != line.npos || line.find("no-cache") != line.npos) age = 0;
  return n;
}

curl_socket_t open_public(void*, curlsocktype, curl_sockaddr* to) {
  if (!is_public(to->addr)) return CURL_SOCKET_BAD;
  return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

bool is_public_v4(std::uint32_t a) {
  struct Net {
    std::uint32_t prefix;
    int bits;
  };
  // IANA's registry of special-purpose addresses, multicast and what is reserved.
  constexpr std::array<Net, 15> kSpecial{{{0x00000000, 8},
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
  for (const auto& net : kSpecial)
    if ((a ^ net.prefix) >> (32 - net.bits) == 0) return false;
  return true;
}

}  // namespace

bool is_public(const sockaddr& address) {
  if (address.sa_family == AF_INET)
    return is_public_v4(ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr));
  if (address.sa_family != AF_INET6) return false;
  const auto& bytes = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr.s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr))
    return is_public_v4(static_cast<std::uint32_t>(bytes[12]) << 24 | bytes[13] << 16 | bytes[14] << 8 |
                        bytes[15]);
  // Global unicast is 2000::/3; not those of it that tunnel IPv4 (2002::/16, 2001::/32) or document
  // (2001:db8::/32).
  if ((bytes[0] & 0xe0) != 0x20) return false;
  if (bytes[0] == 0x20 && bytes[1] == 0x02) return false;
  const bool special = bytes[0] == 0x20 && bytes[1] == 0x01 &&
                       ((bytes[2] == 0 && bytes[3] == 0) || (bytes[2] == 0x0d && bytes[3] == 0xb8));
  return !special;
}

std::optional<Error> check_url(const std::string& url) {
  const auto host = host_of(url);
  const auto wrong = [&](const char* what) {
    return Error{Code::invalid_argument, "invalid-url", fmt::format("'{}' {}", url, what), ""};
  };
  if (!host || host->name.empty() || url.size() > 2000)
    return wrong("is no URL of a server without a user in it");
  if (host->scheme != "https" && !(host->scheme == "http" && host->loopback))
    return wrong("is not https, nor http of this machine");
  return std::nullopt;
}

std::optional<Error> check_url_of(const std::string& url, const std::string& source) {
  if (auto error = check_url(url)) return error;
  const auto to = host_of(url), from = host_of(source);
  if (!to->literal || (from && from->name == to->name)) return std::nullopt;
  return Error{Code::invalid_argument, "invalid-url",
               fmt::format("'{}' is an address, and not that of {}", url, source), ""};
}

Result<Fetched> fetch_by_curl(const FetchRequest& request) {
  static const auto ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (auto error = check_url(request.url)) return *std::move(error);
  const Curl curl(curl_easy_init(), curl_easy_cleanup);
  Headers headers(nullptr, curl_slist_free_all);
  const auto failed = [&](const std::string& why) {
    return Error{Code::unavailable, "fetch-failed",
                 fmt::format("{} could not be fetched: {}", request.url, why), ""};
  };
  if (ready != CURLE_OK || !curl) return failed("libcurl does not start");

  Fetched out;
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_PROXY, "");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  set(CURLOPT_TIMEOUT_MS, kTotalMs);
  set(CURLOPT_USERAGENT, "campaign-express");
  set(CURLOPT_WRITEFUNCTION, take_body);
  set(CURLOPT_WRITEDATA, &out.body);
  set(CURLOPT_HEADERFUNCTION, take_header);
  set(CURLOPT_HEADERDATA, &out.max_age);
  if (!host_of(request.url)->literal) set(CURLOPT_OPENSOCKETFUNCTION, open_public);
  const auto add = [&](const std::string& line) {
    if (auto* longer = curl_slist_append(headers.get(), line.c_str())) {
      static_cast<void>(headers.release());
      headers.reset(longer);
    }
  };
  add("Accept: application/json");
  if (!request.user.empty()) {
    set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    set(CURLOPT_USERNAME, request.user.c_str());
    set(CURLOPT_PASSWORD, request.password.c_str());
  }
  set(CURLOPT_HTTPHEADER, headers.get());
  if (!request.form.empty()) {
    set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.form.size()));
    set(CURLOPT_POSTFIELDS, request.form.c_str());
  }
  const auto done = curl_easy_perform(curl.get());
  if (done == CURLE_WRITE_ERROR) return failed(fmt::format("it is longer than {} bytes", kMostBytes));
  if (done != CURLE_OK) return failed(curl_easy_strerror(done));
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &out.status);
  return out;
}

std::string form_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                       byte == '~';
    if (plain)
      out += c;
    else
      out.append(1, '%').append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
  }
  return out;
}

}  // namespace cx::auth
