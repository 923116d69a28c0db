#include "gateways/auth/crypto.hpp"

#include <doctest/doctest.h>
#include <filesystem>
#include <rapidcheck.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "gateways/auth/api_key.hpp"
#include "gateways/auth/files.hpp"
#include "gateways/auth/password.hpp"

namespace cx::auth {

TEST_CASE("base64url is RFC 4648's, and each value has one text") {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xff\xef", "_-8"}};
  for (const auto& [plain, text] : vectors) {
    CHECK(to_base64url(plain) == text);
    CHECK(from_base64url(text) == std::string(plain));
  }
  for (const auto bad : {"Z", "Zh", "Zm9", "Zg==", "Zm+v", "Zm/v", "Zm9v\n", "Zm 9v", "Zm9vY"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(from_base64url(bad));
  }
  rc::check([](const std::string& bytes) { RC_ASSERT(from_base64url(to_base64url(bytes)) == bytes); });
}

TEST_CASE("what was sealed is read with the key alone, and whole") {
  const auto key = random_bytes(32), other = random_bytes(32);
  auto sealed = seal(key, "attack at dawn");
  CHECK(unseal(key, sealed) == "attack at dawn");
  CHECK_FALSE(unseal(other, sealed));
  CHECK_FALSE(unseal("short", sealed));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK_FALSE(unseal(key, changed));
    CHECK_FALSE(unseal(key, sealed.substr(0, i)));
  }
  CHECK(seal(key, "") != seal(key, ""));
  CHECK(unseal(key, seal(key, "")) == "");
}

TEST_CASE("random texts differ, have the length asked for, and use every character about equally") {
  std::set<std::string> seen;
  std::array<int, 128> counts{};
  for (int i = 0; i < 1000; ++i) {
    const auto text = random_base62(62);
    CHECK(text.size() == 62);
    CHECK(seen.insert(text).second);
    for (const char c : text) ++counts.at(static_cast<std::size_t>(c));
  }
  int used = 0;
  for (const int count : counts) {
    used += count > 0 ? 1 : 0;
    CHECK((count == 0 || (count > 750 && count < 1250)));
  }
  CHECK(used == 62);
}

TEST_CASE("SHA-256 and HMAC are those of FIPS 180 and RFC 4231") {
  CHECK(to_base64url(bytes_of(sha256("abc"))) == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
  const auto mac = hmac_sha256("Jefe", "what do ya want for nothing?");
  CHECK(to_base64url(mac) == "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
  CHECK(equal("same", "same"));
  CHECK_FALSE(equal("same", "samf"));
  CHECK_FALSE(equal("same", "same "));
}

TEST_CASE("a key reads as it was written, and nothing else reads like one") {
  const auto key = make_key();
  const auto text = key.text();
  REQUIRE(parse_key(text));
  CHECK(parse_key(text)->id == key.id);
  CHECK(parse_key(text)->secret == key.secret);
  for (std::size_t i = 0; i < text.size(); ++i) CHECK_FALSE(parse_key(text.substr(0, i)));
  for (const auto& bad : {std::string(), text + "x", "Cx_" + text.substr(3), "cx-" + text.substr(3)})
    CHECK_FALSE(parse_key(bad));
}

TEST_CASE("a password is known by its hash, whose cost stands in it") {
  const PasswordCost cheap{64, 1, 1};
  const auto hash = hash_password("correct horse battery", cheap);
  CHECK(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
  CHECK(is_password("correct horse battery", hash));
  CHECK_FALSE(is_password("correct horse battera", hash));
  CHECK_FALSE(is_password("", hash));
  CHECK_FALSE(is_password("correct horse battery", ""));
  CHECK(hash != hash_password("correct horse battery", cheap));
  CHECK(is_outdated(hash));
  CHECK_FALSE(is_outdated(hash, cheap));
  CHECK(is_outdated("nonsense"));
  CHECK(hash_password("x").starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
  CHECK(is_password_hash(hash));
  for (const auto bad : {"", "x", "$argon2i$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA", "$argon2id$v=19$m=64,t=1,p=1$",
                         "$argon2id$v=19$m=999999999,t=1,p=1$c2FsdA$aGFzaA"})
    CHECK_FALSE(is_password_hash(bad));
}

TEST_CASE("passwords are 12 characters at least, 1024 bytes at most, and not the name") {
  const auto wrong = [](const std::string& password, const std::string& user) {
    const auto error = check_new_password(password, user);
    return error ? error->pointer : "";
  };
  CHECK(wrong("twelve chars", "ana") == "");
  CHECK(wrong("eleven char", "ana") == "/password");
  CHECK(wrong("ääääääääääää", "ana") == "");
  CHECK(wrong("äääääääääää", "ana") == "/password");  // 11 characters, though 22 bytes
  CHECK(wrong(std::string(1024, 'x'), "ana") == "");
  CHECK(wrong(std::string(1025, 'x'), "ana") == "/password");
  CHECK(wrong("Administrator", "administrator") == "/password");
}

TEST_CASE("a secret is written once, for our eyes only") {
  const auto path = std::filesystem::temp_directory_path() / ("cx-secret-" + random_base62(10));
  REQUIRE_FALSE(write_secret(path, "hush"));
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  REQUIRE(write_secret(path, "again"));
  CHECK(write_secret(path, "again")->type == "already-exists");
  const auto text = read_small(path, 4);
  REQUIRE(text);
  CHECK(*text == "hush");
  CHECK_FALSE(read_small(path, 3));
  std::filesystem::remove(path);
  CHECK_FALSE(read_small(path, 4));
  CHECK(write_secret("/nonexistent/x", "y")->type == "storage-failed");
}

}  // namespace cx::auth
