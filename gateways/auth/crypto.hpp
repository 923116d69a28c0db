#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <openssl/evp.h>
#include <optional>
#include <string>
#include <string_view>

namespace cx::auth {

using Sha256 = std::array<unsigned char, 32>;
using PublicKey = std::shared_ptr<EVP_PKEY>;  ///< or a private one
inline PublicKey own(EVP_PKEY* key) {
  return {key, EVP_PKEY_free};
}

/// Takes some 0.3 us and no lock.
Sha256 sha256(std::string_view bytes);
inline std::string text_of(const Sha256& hash) {
  return {hash.begin(), hash.end()};
}
std::string hmac_sha256(std::string_view key, std::string_view bytes);

/// Whether both are the same, in a time that depends on their lengths only.
bool equal(std::string_view a, std::string_view b);
inline std::string_view bytes_of(const Sha256& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

/// `n` bytes that nobody can guess. Aborts when the system has none.
std::string random_bytes(std::size_t n);
/// `n` of 0-9, A-Z, a-z, 5.95 bits each.
std::string random_base62(std::size_t n);

/// RFC 4648 section 5, without padding. Decoding takes exactly what encoding gives.
std::string to_base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

/// AES-256-GCM under a random nonce, and the reverse; nothing for what was not sealed with `key`, 32 bytes.
std::string seal(std::string_view key, std::string_view plain);
std::optional<std::string> unseal(std::string_view key, std::string_view sealed);

}  // namespace cx::auth
