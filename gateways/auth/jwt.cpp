#include "gateways/auth/jwt.hpp"

#include <algorithm>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <stdexcept>

#include "runtime/json.hpp"

namespace cx::auth {
namespace {

using Digest = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;
using EcSignature = std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)>;

constexpr int kHalf = 32;  // bytes of each of the two numbers in an ES256 signature

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::optional<Algorithm> algorithm_of(std::string_view name) {
  if (name == "ES256") return Algorithm::es256;
  if (name == "RS256") return Algorithm::rs256;
  if (name == "HS256") return Algorithm::hs256;
  return std::nullopt;
}

/// RFC 7518 section 3.4 has two numbers one after the other, OpenSSL a DER sequence of them.
std::string to_der(std::string_view pair) {
  const EcSignature parts(ECDSA_SIG_new(), ECDSA_SIG_free);
  ECDSA_SIG_set0(parts.get(), BN_bin2bn(raw(pair), kHalf, nullptr),
                 BN_bin2bn(raw(pair) + kHalf, kHalf, nullptr));
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(parts.get(), &der);
  if (length <= 0) return {};
  std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return out;
}

std::string from_der(std::string_view der) {
  const auto* at = raw(der);
  const EcSignature parts(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), ECDSA_SIG_free);
  std::string out(2 * kHalf, '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  if (!parts || BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), to, kHalf) != kHalf ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), to + kHalf, kHalf) != kHalf)
    throw std::runtime_error("OpenSSL made a signature that is none");
  return out;
}

}  // namespace

std::optional<Token> parse_token(std::string_view compact) {
  if (compact.size() > kMaxToken || std::count(compact.begin(), compact.end(), '.') != 2) return std::nullopt;
  const auto first = compact.find('.'), second = compact.rfind('.');
  const auto header_bytes = from_base64url(compact.substr(0, first));
  const auto claims_bytes = from_base64url(compact.substr(first + 1, second - first - 1));
  auto signature = from_base64url(compact.substr(second + 1));
  if (!header_bytes || !claims_bytes || !signature) return std::nullopt;
  const auto header = JsonObject::parse(*header_bytes);
  auto claims = JsonObject::parse(*claims_bytes);
  if (!header || !claims || header->has("crit")) return std::nullopt;
  const auto algorithm = algorithm_of(header->text("alg").value_or(""));
  if (!algorithm) return std::nullopt;
  return Token{*algorithm, header->text("kid").value_or(""), compact.substr(0, second), *std::move(signature),
               *std::move(claims)};
}

const VerificationKey* choose_key(const Token& token, const KeySet& keys) {
  const VerificationKey* only = nullptr;
  std::size_t possible = 0;
  for (const auto& key : keys) {
    if (key.algorithm != token.algorithm) continue;
    if (!token.kid.empty() && key.kid == token.kid) return &key;
    if (!token.kid.empty() && !key.kid.empty()) continue;
    only = &key;
    ++possible;
  }
  return possible == 1 ? only : nullptr;
}

bool verify(const Token& token, const VerificationKey& key) {
  if (key.algorithm != token.algorithm) return false;
  if (key.algorithm == Algorithm::hs256)
    return key.secret.size() >= 32 && equal(hmac_sha256(key.secret, token.signed_part), token.signature);
  auto signature = token.signature;
  if (key.algorithm == Algorithm::es256) {
    if (signature.size() != 2 * kHalf) return false;
    signature = to_der(signature);
  }
  const Digest digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return EVP_DigestVerifyInit(digest.get(), nullptr, EVP_sha256(), nullptr, key.key.get()) == 1 &&
         EVP_DigestVerify(digest.get(), raw(signature), signature.size(), raw(token.signed_part),
                          token.signed_part.size()) == 1;
}

Freshness freshness(const JsonObject& claims, std::int64_t now, std::int64_t leeway) {
  const auto expires = claims.time("exp");
  if (!expires) return Freshness::invalid;
  for (const auto name : {"nbf", "iat"}) {
    if (!claims.has(name)) continue;
    const auto from = claims.time(name);
    if (!from || *from > now + kLeeway) return Freshness::invalid;
  }
  return now < *expires + leeway ? Freshness::good : Freshness::expired;
}

std::string sign_token(const VerificationKey& key, std::string_view claims) {
  std::string header = R"({"alg":"ES256","typ":"at+jwt","kid":)";
  append_json(header, key.kid);
  header += '}';
  auto token = to_base64url(header) + '.' + to_base64url(claims);
  const Digest digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::string der(128, '\0');
  std::size_t length = der.size();
  if (EVP_DigestSignInit(digest.get(), nullptr, EVP_sha256(), nullptr, key.key.get()) != 1 ||
      EVP_DigestSign(digest.get(), reinterpret_cast<unsigned char*>(der.data()), &length, raw(token),
                     token.size()) != 1)
    throw std::runtime_error("an access token could not be signed");
  der.resize(length);
  return token + '.' + to_base64url(from_der(der));
}

}  // namespace cx::auth
