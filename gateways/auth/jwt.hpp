#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateways/auth/crypto.hpp"
#include "gateways/auth/json_view.hpp"

namespace cx::auth {

/// Of signatures (RFC 7518). There is no other, "none" least of all.
enum class Algorithm { hs256, rs256, es256 };

/// What verifies signatures, and by which algorithm: the key decides that, never the token.
struct VerificationKey {
  std::string kid;  ///< empty when it has no name
  Algorithm algorithm = Algorithm::es256;
  PublicKey key;       ///< RSA or P-256
  std::string secret;  ///< hs256
};
using KeySet = std::vector<VerificationKey>;

/// A key in PEM. Nothing for what is no RSA key of 2048 to 8192 bits, and no P-256 key.
std::optional<VerificationKey> key_from_pem(std::string_view pem);
/// The keys of a JWK set (RFC 7517) that can verify RS256 or ES256, at most 64; nothing for what is no set.
/// Symmetric keys are passed over: nobody publishes a secret.
std::optional<KeySet> keys_from_jwks(std::string_view json);
/// The JWK of a P-256 key.
std::string jwk_of(const VerificationKey& key);
/// Names a P-256 key by what it is (RFC 7638).
std::string thumbprint(const PublicKey& key);

/// A token in compact form (RFC 7515), taken apart and not yet verified.
struct Token {
  Algorithm algorithm;
  std::string kid;  ///< empty when it names none
  std::string_view signed_part;
  std::string signature;
  JsonObject claims;
};
inline constexpr std::size_t kMaxToken = 8192;  ///< bytes

/// Nothing for what is no such token, has another algorithm, demands what we do not know ("crit") or is too
/// long. `compact` outlives the token.
std::optional<Token> parse_token(std::string_view compact);

/// The one of `keys` that may verify the token: of its algorithm and name; where token or key has no name,
/// the only one that could be meant. Null where there is none.
const VerificationKey* choose_key(const Token& token, const KeySet& keys);
/// Whether `key` made the signature, by the key's algorithm, which the token has to name.
bool verify(const Token& token, const VerificationKey& key);

/// How far a clock may be off.
inline constexpr std::int64_t kLeeway = 60'000;  // milliseconds

enum class Freshness { good, expired, invalid };
/// Of a token's exp (which it must have), nbf and iat; exp is good for `leeway` milliseconds more.
Freshness freshness(const JsonObject& claims, std::int64_t now, std::int64_t leeway);

/// A token of `claims`, a JSON object, signed by a P-256 key as ES256.
std::string sign_token(const VerificationKey& key, std::string_view claims);

}  // namespace cx::auth
