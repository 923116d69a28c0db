#pragma once

#include <string>
#include <string_view>

#include "cx/v1/config.pb.h"

namespace cx::http {

/// Whose pages may use the API in a browser (Fetch, "CORS protocol"). A credential of ours is a header field
/// that the page itself has to set, so Access-Control-Allow-Credentials is never sent: what a browser adds by
/// itself proves nothing to us.
class Origins {
 public:
  explicit Origins(const v1::HttpConfig& config) : config_(config) {}

  /// The Access-Control-Allow-Origin field for a request of `origin`; empty where it is not allowed.
  std::string_view allow(std::string_view origin) const {
    if (origin.empty()) return {};
    for (const auto& allowed : config_.cors_origins())
      if (allowed == "*" || allowed == origin) return allowed;
    return {};
  }
  /// Whether answers differ by origin.
  bool vary() const { return config_.cors_origins_size() > 0; }

 private:
  const v1::HttpConfig& config_;
};

/// Fields of a preflight's answer and of actual ones.
inline constexpr std::string_view kAllowHeaders =
    "Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-Match, If-None-Match, traceparent, "
    "X-Api-Key, "
    "X-Request-Id, X-Timeout-Ms";
inline constexpr std::string_view kExposeHeaders =
    "ETag, RateLimit, RateLimit-Policy, Retry-After, X-OpenRTB-NBR, X-OpenRTB-Version, X-Request-Id";
inline constexpr std::string_view kPreflightSeconds = "7200";  // as long as browsers allow

}  // namespace cx::http
