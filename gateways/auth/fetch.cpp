#include "gateways/auth/fetch.hpp"

#include <charconv>
#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>

#include "runtime/net/outbound.hpp"
#include "runtime/net/request.hpp"

namespace cx::auth {
namespace {

constexpr std::size_t kMostBytes = 256 * 1024;
constexpr long kConnectMs = 3000;
constexpr std::chrono::milliseconds kTotal{5000};

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

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

}  // namespace

std::optional<Error> check_url(const std::string& url) {
  const auto host = net::host_of(url);
  const auto wrong = [&](const char* what) {
    return Error{Code::invalid_argument, "invalid-url", fmt::format("'{}' {}", url, what), ""};
  };
  if (!host) return wrong("is no http or https URL of a server without a user in it");
  if (host->scheme != "https" && !(host->scheme == "http" && host->loopback))
    return wrong("is not https, nor http of this machine");
  return std::nullopt;
}

std::optional<Error> check_url_of(const std::string& url, const std::string& source) {
  if (auto error = check_url(url)) return error;
  const auto to = net::host_of(url), from = net::host_of(source);
  if (!to->literal || (from && from->name == to->name)) return std::nullopt;
  return Error{Code::invalid_argument, "invalid-url",
               fmt::format("'{}' is an address, and not that of {}", url, source), ""};
}

Result<Fetched> fetch_by_curl(const FetchRequest& request) {
  static const auto ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (auto error = check_url(request.url)) return *std::move(error);
  const Curl curl(curl_easy_init(), curl_easy_cleanup);
  const auto failed = [&](const std::string& why) {
    return Error{Code::unavailable, "fetch-failed",
                 fmt::format("{} could not be fetched: {}", request.url, why), ""};
  };
  if (ready != CURLE_OK || !curl) return failed("libcurl does not start");

  Fetched out;
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  net::HeaderLines header;
  header.add("Accept: application/json");
  net::set_common(curl.get(), request.url, header, kTotal);
  set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  set(CURLOPT_WRITEFUNCTION, take_body);
  set(CURLOPT_WRITEDATA, &out.body);
  set(CURLOPT_HEADERFUNCTION, take_header);
  set(CURLOPT_HEADERDATA, &out.max_age);
  if (!net::host_of(request.url)->literal) net::set_guard(curl.get(), nullptr);
  if (!request.user.empty()) {
    set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    set(CURLOPT_USERNAME, request.user.c_str());
    set(CURLOPT_PASSWORD, request.password.c_str());
  }
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
