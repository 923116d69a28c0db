#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string>

#include "gateways/auth/jwt.hpp"

namespace cx::auth::test {

/// A key pair of somebody else.
inline PublicKey p256() {
  return own(EVP_EC_gen("P-256"));
}
inline PublicKey rsa(unsigned bits = 2048) {
  return own(EVP_RSA_gen(bits));
}

/// Signs with an RSA key; ES256 is sign_token's.
inline std::string sign_rs256(const PublicKey& key, const std::string& header, const std::string& claims) {
  auto token = to_base64url(header) + '.' + to_base64url(claims);
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  std::size_t length = 1024;
  std::string signature(length, '\0');
  EVP_DigestSignInit(digest, nullptr, EVP_sha256(), nullptr, key.get());
  EVP_DigestSign(digest, reinterpret_cast<unsigned char*>(signature.data()), &length,
                 reinterpret_cast<const unsigned char*>(token.data()), token.size());
  EVP_MD_CTX_free(digest);
  signature.resize(length);
  return token + '.' + to_base64url(signature);
}
inline std::string sign_hs256(const std::string& secret, const std::string& header,
                              const std::string& claims) {
  const auto token = to_base64url(header) + '.' + to_base64url(claims);
  return token + '.' + to_base64url(hmac_sha256(secret, token));
}
inline std::string sign_es256(const PublicKey& key, const std::string& kid, const std::string& claims) {
  return sign_token({kid, Algorithm::es256, key, ""}, claims);
}

}  // namespace cx::auth::test
