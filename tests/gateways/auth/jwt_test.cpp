#include "gateways/auth/jwt.hpp"

#include <doctest/doctest.h>
#include <filesystem>
#include <openssl/pem.h>
#include <rapidcheck.h>

#include "gateways/auth/signing_keys.hpp"
#include "tests/gateways/auth/tokens.hpp"
#include "tests/virtual_time.hpp"

namespace cx::auth {
namespace {

// RFC 7515, appendix A.1 to A.3: one payload, three signatures.
const std::string kPayload =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const std::string kHs256 =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + kPayload + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const std::string kRs256 =
    "eyJhbGciOiJSUzI1NiJ9." + kPayload +
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGbds9uJdbF9CUAr7t"
    "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_"
    "dO--xi12jzDw"
    "usC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
    "IoypGlUPQGe77"
    "Rw";
const std::string kEs256 =
    "eyJhbGciOiJFUzI1NiJ9." + kPayload +
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const std::string kSecret =
    *from_base64url("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
const std::string kJwks = R"({"keys":[
  {"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
  {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";

KeySet rfc_keys() {
  auto keys = keys_from_jwks(kJwks);
  REQUIRE(keys);
  REQUIRE(keys->size() == 2);
  keys->push_back({"", Algorithm::hs256, nullptr, kSecret});
  return *keys;
}

bool accepts(const KeySet& keys, const std::string& text) {
  const auto token = parse_token(text);
  if (!token) return false;
  const auto* key = choose_key(*token, keys);
  return key != nullptr && verify(*token, *key);
}

}  // namespace

TEST_CASE("the tokens of RFC 7515 verify, and say what they say") {
  const auto keys = rfc_keys();
  for (const auto& text : {kHs256, kRs256, kEs256}) {
    CAPTURE(text);
    CHECK(accepts(keys, text));
    const auto token = parse_token(text);
    REQUIRE(token);
    CHECK(token->claims.text("iss") == "joe");
    CHECK(token->claims.time("exp") == 1'300'819'380'000);
    CHECK(freshness(token->claims, 1'300'819'379'999, 0) == Freshness::good);
    CHECK(freshness(token->claims, 1'300'819'380'000, 0) == Freshness::expired);
    CHECK(freshness(token->claims, 1'300'819'439'999, kLeeway) == Freshness::good);
    CHECK(freshness(token->claims, 1'300'819'440'000, kLeeway) == Freshness::expired);
  }
}

TEST_CASE("a token that differs in any bit is not taken") {
  const auto keys = rfc_keys();
  for (const auto& text : {kHs256, kEs256, kRs256}) {
    // Of RSA's, which takes long to read, some.
    const std::size_t step = text.size() > 300 ? 7 : 1;
    for (std::size_t i = 0; i < text.size(); i += step)
      for (int bit = 0; bit < 8; ++bit) {
        auto changed = text;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        CHECK_FALSE(accepts(keys, changed));
      }
    for (std::size_t length = 0; length < text.size(); ++length)
      CHECK_FALSE(accepts(keys, text.substr(0, length)));
    CHECK_FALSE(accepts(keys, text + "A"));
    CHECK_FALSE(accepts(keys, text + "."));
    CHECK_FALSE(accepts(keys, text + "." + text));
  }
}

TEST_CASE("the key decides by which algorithm a token is verified") {
  const auto key = test::rsa();
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(bio, key.get());
  char* bytes = nullptr;
  const auto length = BIO_get_mem_data(bio, &bytes);
  const std::string pem(bytes, static_cast<std::size_t>(length));
  BIO_free(bio);
  const auto verifier = key_from_pem(pem);
  REQUIRE(verifier);
  CHECK(verifier->algorithm == Algorithm::rs256);
  const KeySet keys{*verifier};
  const std::string claims = R"({"sub":"mallory"})";
  CHECK(accepts(keys, test::sign_rs256(key, R"({"alg":"RS256"})", claims)));
  // The public key as the secret of an HMAC: everybody has it.
  CHECK_FALSE(accepts(keys, test::sign_hs256(pem, R"({"alg":"HS256"})", claims)));
  CHECK_FALSE(accepts(keys, test::sign_hs256(pem, R"({"alg":"RS256"})", claims)));
  CHECK_FALSE(accepts(keys, test::sign_rs256(key, R"({"alg":"HS256"})", claims)));
  CHECK_FALSE(accepts(keys, test::sign_rs256(key, R"({"alg":"ES256"})", claims)));
  CHECK_FALSE(accepts(keys, test::sign_rs256(key, R"({"alg":"rs256"})", claims)));
  const auto body = to_base64url(claims);
  for (const auto& alg : {"none", "None", "NONE", "", "HS512", "PS256", "EdDSA"}) {
    const auto header = to_base64url(std::string(R"({"alg":")") + alg + "\"}");
    CHECK_FALSE(parse_token(header + '.' + body + '.'));
    CHECK_FALSE(parse_token(header + '.' + body + ".AAAA"));
  }
  // A key that the token brings along counts for nothing.
  const auto mine = test::p256();
  VerificationKey signer{"k", Algorithm::es256, mine, ""};
  CHECK_FALSE(accepts(keys, sign_token(signer, claims)));
}

TEST_CASE("what is no token is refused, whatever it is made of") {
  const auto claims = to_base64url(R"({"sub":"x"})");
  const auto with = [&](const std::string& header) { return to_base64url(header) + '.' + claims + ".AAAA"; };
  CHECK(parse_token(with(R"({"alg":"ES256"})")));
  for (const auto& header :
       {R"({"alg":"ES256","crit":["exp"],"exp":1})", R"({"alg":["ES256"]})", R"({"alg":null})", R"(["alg"])",
        R"({"alg":"ES256")", R"("ES256")", "", "{}", "null"})
    CHECK_FALSE(parse_token(with(header)));
  for (const auto bad : {"", ".", "..", "...", "a.b.c", "eyJ9.eyJ9", "\x00\xff..", " . . "})
    CHECK_FALSE(parse_token(bad));

  std::string deep;
  for (int i = 0; i < 200; ++i) deep += R"({"a":)";
  deep += "1" + std::string(200, '}');
  CHECK_FALSE(parse_token(to_base64url(R"({"alg":"ES256"})") + '.' + to_base64url(deep) + ".AAAA"));
  const std::string huge = R"({"alg":"ES256","pad":")" + std::string(kMaxToken, 'x') + "\"}";
  CHECK_FALSE(parse_token(with(huge)));
  rc::check([](const std::string& text) { static_cast<void>(parse_token(text)); });
}

TEST_CASE("a token without times that hold is not fresh") {
  constexpr std::int64_t kNow = 1'700'000'000'000;
  const auto of = [](const std::string& json) { return freshness(*JsonObject::parse(json), kNow, 0); };
  CHECK(of(R"({"exp":1700000001})") == Freshness::good);
  CHECK(of(R"({"exp":1700000000.5})") == Freshness::good);
  CHECK(of(R"({"exp":1700000000})") == Freshness::expired);
  for (const auto bad : {"{}", R"({"exp":"1700000001"})", R"({"exp":null})", R"({"exp":1e300})",
                         R"({"exp":-1})", R"({"exp":1700000001,"nbf":1700000061})",
                         R"({"exp":1700000001,"iat":1700000061})", R"({"exp":1700000001,"nbf":"soon"})"}) {
    CAPTURE(std::string(bad));
    CHECK(of(bad) == Freshness::invalid);
  }
  CHECK(of(R"({"exp":1700000001,"nbf":1700000060,"iat":1700000060})") == Freshness::good);
}

TEST_CASE("of a JWK set what is weak, symmetric, for another use or broken is passed over") {
  const auto keys_of = [](const std::string& jwks) {
    const auto keys = keys_from_jwks(jwks);
    return keys ? static_cast<int>(keys->size()) : -1;
  };
  const std::string x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
  const std::string y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
  const auto ec = [&](const std::string& x_is, const std::string& more) {
    return R"({"keys":[{"kty":"EC","crv":"P-256","x":")" + x_is + R"(","y":")" + y + '"' + more + "}]}";
  };
  CHECK(keys_of(ec(x, "")) == 1);
  CHECK(keys_of(ec(x, R"(,"use":"sig","alg":"ES256")")) == 1);
  CHECK(keys_of(ec(x, R"(,"use":"enc")")) == 0);
  CHECK(keys_of(ec(x, R"(,"alg":"ES384")")) == 0);
  CHECK(keys_of(ec(y, "")) == 0);  // not on the curve
  CHECK(keys_of(ec("AQAB", "")) == 0);
  CHECK(keys_of(R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})") == 0);
  CHECK(keys_of(R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]})") == 0);
  CHECK(keys_of(R"({"keys":[1,null,"x",{}]})") == 0);
  CHECK(keys_of(R"({"keys":[]})") == 0);
  CHECK(keys_of("{}") == -1);
  CHECK(keys_of("[]") == -1);
  CHECK(keys_of("<html>") == -1);
  std::string many = R"({"keys":[)";
  for (int i = 0; i < 1000; ++i) many += ec(x, "").substr(9, ec(x, "").size() - 11) + ',';
  many.back() = ']';
  CHECK(keys_of(many + '}') == 64);
}

TEST_CASE("signing keys take turns: each signs for its time, and verifies until what it signed has expired") {
  const auto directory = std::filesystem::temp_directory_path() / ("cx-keys-" + random_base62(10));
  cx::test::ManualClock clock;
  const SigningKeys::Habits habits{1'000'000, 900'000};
  auto opened = SigningKeys::open(directory, clock, habits);
  REQUIRE(opened);
  auto& keys = **opened;
  const auto first = keys.sign(R"({"n":1})");
  CHECK(accepts(keys.ring()->keys, first));
  const auto published = keys_from_jwks(keys.ring()->jwks);
  REQUIRE(published);
  CHECK(accepts(*published, first));
  CHECK(std::filesystem::status(directory).permissions() == std::filesystem::perms::owner_all);

  clock.ms += 999'999;
  CHECK_FALSE(keys.tick());
  CHECK(keys.ring()->keys.size() == 1);
  clock.ms += 1;
  CHECK_FALSE(keys.tick());
  CHECK(keys.ring()->keys.size() == 2);
  const auto second = keys.sign(R"({"n":2})");
  CHECK(parse_token(second)->kid != parse_token(first)->kid);
  CHECK(accepts(keys.ring()->keys, first));

  auto reopened = SigningKeys::open(directory, clock, habits);
  REQUIRE(reopened);
  CHECK(accepts((*reopened)->ring()->keys, first));
  CHECK(parse_token((*reopened)->sign("{}"))->kid == parse_token(second)->kid);

  clock.ms += 900'000 + kLeeway;
  CHECK_FALSE(keys.tick());
  CHECK(keys.ring()->keys.size() == 2);
  clock.ms += 1;
  CHECK_FALSE(keys.tick());
  CHECK(keys.ring()->keys.size() == 1);
  CHECK_FALSE(accepts(keys.ring()->keys, first));
  CHECK(accepts(keys.ring()->keys, second));
  CHECK(std::distance(std::filesystem::directory_iterator(directory), {}) == 1);

  std::filesystem::rename(std::filesystem::directory_iterator(directory)->path(), directory / "odd.pem");
  const auto failed = SigningKeys::open(directory, clock, habits);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().detail.find("odd.pem") != std::string::npos);
  std::filesystem::remove_all(directory);
}

}  // namespace cx::auth
