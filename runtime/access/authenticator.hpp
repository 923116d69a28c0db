#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/access/caller.hpp"
#include "runtime/error.hpp"

namespace cx {

/// What a request shows for itself. Empty where there is nothing.
struct Credential {
  std::string_view
      authorization;             ///< "Bearer ...": an access token or an API key; "Basic ...": a key as user
  std::string_view api_key;      ///< of the field X-Api-Key, or of the body where the method allows that
  std::string_view certificate;  ///< subject of a client certificate that was verified, "CN=ssp-1"
  bool empty() const { return authorization.empty() && api_key.empty() && certificate.empty(); }
};

/// What a caller may still ask for: a token bucket.
struct Quota {
  std::uint32_t limit = 0;           ///< size of the bucket; 0 when there is none
  std::uint32_t window_seconds = 0;  ///< in which an empty bucket fills
  std::uint32_t remaining = 0;
  std::uint32_t reset_seconds = 0;  ///< until it is full
  std::uint32_t retry_seconds = 0;  ///< until what was refused could be granted; 0 when it was not refused
};

/// A caller who was let in, or would have been but for the quota.
struct Admission {
  CallerPtr caller;
  Quota quota;
  bool limited = false;  ///< refused: come back after quota.retry_seconds
};

/// Tells who calls. Thread-safe, never blocks: called for each request on I/O threads.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  /// Takes `cost` tokens from the credential's bucket. Errors: unauthenticated "no-credential",
  /// "invalid-credential" (which does not say why), "expired-credential"; unavailable.
  virtual Result<Admission> admit(const Credential& credential, std::uint32_t cost) const = 0;
};

}  // namespace cx
