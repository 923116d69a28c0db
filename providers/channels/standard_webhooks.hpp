#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

// Signatures of webhooks, as https://www.standardwebhooks.com says: HMAC-SHA256 over "id.timestamp.body".

namespace cx::channels {

/// The secrets of a webhook. Several sign together while they are rotated.
class WebhookSecrets {
 public:
  static constexpr std::size_t kLeast = 24, kMost = 64;  ///< bytes of one
  static constexpr std::size_t kMostSecrets = 5;

  /// Secrets with spaces between, the newest first: each base64 of 24 to 64 bytes, with "whsec_" before it or
  /// not. The error, "invalid-secret", does not quote any.
  static Result<WebhookSecrets> parse(std::string_view text);

  /// The field webhook-signature: "v1,BASE64", one a secret with spaces between. `timestamp`: Unix seconds.
  std::string sign(std::string_view id, std::int64_t timestamp, std::string_view body) const;

  /// Whether a request is signed with any of the secrets and no more than 5 minutes old or early; versions
  /// other than v1 are passed over. The fields as they came; empty for one that did not. Takes the same time
  /// whatever of a signature is wrong. Nothing when all is well, else the reason, in words.
  std::optional<std::string> verify(std::string_view id, std::string_view timestamp,
                                    std::string_view signature, std::string_view body,
                                    std::int64_t now) const;

 private:
  std::vector<std::string> keys_;  // bytes
};

}  // namespace cx::channels
