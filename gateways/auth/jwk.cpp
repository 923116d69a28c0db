#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "gateways/auth/jwt.hpp"
#include "runtime/json.hpp"

namespace cx::auth {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Context = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)>;
using Params = std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)>;
using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;

constexpr std::size_t kMaxKeys = 64;
constexpr std::size_t kCoordinate = 32;  // bytes, on P-256

/// A public key of a type from its parameters; null when they make none.
PublicKey make(const char* type, const Builder& builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder.get()), OSSL_PARAM_free);
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  if (!params || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    return nullptr;
  return own(key);
}

Number number(const std::string& bytes) {
  return {BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()),
                    nullptr),
          BN_free};
}

/// How a key of ours to accept verifies; nothing for one that is too weak, or that would take too long.
std::optional<Algorithm> algorithm_of(const PublicKey& key) {
  if (!key) return std::nullopt;
  if (EVP_PKEY_is_a(key.get(), "RSA")) {
    const int bits = EVP_PKEY_get_bits(key.get());
    BIGNUM* exponent = nullptr;
    if (EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_RSA_E, &exponent) != 1) return std::nullopt;
    const Number owned(exponent, BN_free);
    if (bits < 2048 || bits > 8192 || BN_is_odd(exponent) != 1 || BN_is_one(exponent) == 1 ||
        BN_num_bits(exponent) > 33)
      return std::nullopt;
    return Algorithm::rs256;
  }
  char group[32] = "";
  if (!EVP_PKEY_is_a(key.get(), "EC") ||
      EVP_PKEY_get_group_name(key.get(), group, sizeof group, nullptr) != 1 ||
      std::string_view(group) != "prime256v1")
    return std::nullopt;
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr), EVP_PKEY_CTX_free);
  if (EVP_PKEY_public_check(context.get()) != 1) return std::nullopt;  // not on the curve
  return Algorithm::es256;
}

std::optional<std::string> bytes_at(const JsonObject& jwk, std::string_view name, std::size_t most) {
  const auto text = jwk.text(name);
  auto bytes = text ? from_base64url(*text) : std::nullopt;
  if (!bytes || bytes->empty() || bytes->size() > most) return std::nullopt;
  return bytes;
}

PublicKey rsa_key(const JsonObject& jwk) {
  const auto n = bytes_at(jwk, "n", 1024), e = bytes_at(jwk, "e", 8);
  if (!n || !e) return nullptr;
  const auto modulus = number(*n), exponent = number(*e);
  const Builder builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  return make("RSA", builder);
}

PublicKey ec_key(const JsonObject& jwk) {
  const auto x = bytes_at(jwk, "x", kCoordinate), y = bytes_at(jwk, "y", kCoordinate);
  if (jwk.text("crv") != "P-256" || !x || !y || x->size() != kCoordinate || y->size() != kCoordinate)
    return nullptr;
  const auto point = std::string(1, '\x04').append(*x).append(*y);
  const Builder builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  return make("EC", builder);
}

std::string coordinate(const PublicKey& key, const char* name) {
  BIGNUM* value = nullptr;
  EVP_PKEY_get_bn_param(key.get(), name, &value);
  const Number owned(value, BN_free);
  std::string out(kCoordinate, '\0');
  BN_bn2binpad(value, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(kCoordinate));
  return to_base64url(out);
}

}  // namespace

std::optional<VerificationKey> key_from_pem(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  const auto key = own(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  const auto algorithm = algorithm_of(key);
  if (!algorithm) return std::nullopt;
  return VerificationKey{"", *algorithm, key, ""};
}

std::optional<KeySet> keys_from_jwks(std::string_view json) {
  const auto document = JsonObject::parse(json);
  if (!document || !document->has("keys")) return std::nullopt;
  KeySet keys;
  for (const auto& jwk : document->objects("keys")) {
    if (keys.size() == kMaxKeys) break;
    if (jwk.has("use") && jwk.text("use") != "sig") continue;
    const auto type = jwk.text("kty");
    auto key = type == "RSA" ? rsa_key(jwk) : type == "EC" ? ec_key(jwk) : nullptr;
    const auto algorithm = algorithm_of(key);
    if (!algorithm) continue;
    if (jwk.has("alg") && jwk.text("alg") != (*algorithm == Algorithm::rs256 ? "RS256" : "ES256")) continue;
    keys.push_back({jwk.text("kid").value_or(""), *algorithm, std::move(key), ""});
  }
  return keys;
}

std::string jwk_of(const VerificationKey& key) {
  std::string out = R"({"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":)";
  append_json(out, key.kid);
  out.append(R"(,"x":")").append(coordinate(key.key, OSSL_PKEY_PARAM_EC_PUB_X));
  return out.append(R"(","y":")").append(coordinate(key.key, OSSL_PKEY_PARAM_EC_PUB_Y)).append("\"}");
}

std::string thumbprint(const PublicKey& key) {
  std::string members(R"({"crv":"P-256","kty":"EC","x":")");
  members.append(coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X)).append(R"(","y":")");
  members.append(coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y)).append("\"}");
  return to_base64url(bytes_of(sha256(members)));
}

}  // namespace cx::auth
