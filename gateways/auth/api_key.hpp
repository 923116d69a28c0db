#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gateways/auth/crypto.hpp"

namespace cx::auth {

// An API key reads "cx_<id>_<secret>": 8 and 40 of 0-9, A-Z, a-z. The secret has 238 bits, so that a plain
// hash of it cannot be guessed back.
inline constexpr std::size_t kKeyId = 8, kKeySecret = 40;

struct NewKey {
  std::string id, secret;
  std::string text() const {
    std::string out("cx_");
    return out.append(id).append(1, '_').append(secret);
  }
};
inline NewKey make_key() {
  return {random_base62(kKeyId), random_base62(kKeySecret)};
}

struct KeyParts {
  std::string_view id, secret;
};
/// Nothing for what does not read like a key.
inline std::optional<KeyParts> parse_key(std::string_view text) {
  constexpr std::size_t kStart = 3, kSecretAt = kStart + kKeyId + 1;
  if (text.size() != kSecretAt + kKeySecret || !text.starts_with("cx_") || text[kSecretAt - 1] != '_')
    return std::nullopt;
  return KeyParts{text.substr(kStart, kKeyId), text.substr(kSecretAt)};
}

}  // namespace cx::auth
