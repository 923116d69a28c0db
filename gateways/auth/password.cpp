#include "gateways/auth/password.hpp"

#include <argon2.h>
#include <cstdio>
#include <stdexcept>

#include "gateways/auth/crypto.hpp"

namespace cx::auth {
namespace {

constexpr std::size_t kSalt = 16, kHash = 32;

struct Parsed {
  unsigned memory = 0, passes = 0, lanes = 0;
  int end = 0;  // where the salt begins
};

std::optional<Parsed> parse(const std::string& hash) {
  Parsed parsed;
  const int read = std::sscanf(hash.c_str(), "$argon2id$v=19$m=%9u,t=%9u,p=%9u$%n", &parsed.memory,
                               &parsed.passes, &parsed.lanes, &parsed.end);
  if (read != 3 || parsed.end == 0) return std::nullopt;
  return parsed;
}

}  // namespace

std::optional<Error> check_new_password(std::string_view password, std::string_view user) {
  const auto wrong = [](const char* detail) {
    return Error{Code::invalid_argument, "weak-password", detail, "/password"};
  };
  std::size_t characters = 0;
  for (const char c : password) characters += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  if (characters < 12)
    return wrong("The password has fewer than 12 characters; take a longer one, several words for example.");
  if (password.size() > 1024) return wrong("The password has more than 1024 bytes; take a shorter one.");
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  bool same = password.size() == user.size();
  for (std::size_t i = 0; same && i < user.size(); ++i) same = lower(password[i]) == lower(user[i]);
  if (same) return wrong("The password is the user's name; take another one.");
  return std::nullopt;
}

std::string hash_password(std::string_view password, const PasswordCost& cost) {
  const auto salt = random_bytes(kSalt);
  std::string out(argon2_encodedlen(cost.passes, cost.memory_kib, cost.lanes, kSalt, kHash, Argon2_id), '\0');
  const int failed =
      argon2id_hash_encoded(cost.passes, cost.memory_kib, cost.lanes, password.data(), password.size(),
                            salt.data(), salt.size(), kHash, out.data(), out.size());
  if (failed != ARGON2_OK) throw std::runtime_error(argon2_error_message(failed));
  out.resize(out.find('\0'));
  return out;
}

bool is_password(std::string_view password, const std::string& hash) {
  // Of a secret that nobody knows.
  static const std::string nobody = hash_password(random_base62(40));
  const auto& checked = hash.empty() ? nobody : hash;
  const int result = argon2id_verify(checked.c_str(), password.data(), password.size());
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR) throw std::runtime_error(argon2_error_message(result));
  return result == ARGON2_OK && !hash.empty();
}

bool is_outdated(const std::string& hash, const PasswordCost& cost) {
  const auto parsed = parse(hash);
  return !parsed || parsed->memory != cost.memory_kib || parsed->passes != cost.passes ||
         parsed->lanes != cost.lanes;
}

bool is_password_hash(const std::string& hash) {
  const auto parsed = parse(hash);
  return parsed && hash.size() < 200 && parsed->memory >= 8 && parsed->memory <= 262'144 &&
         parsed->passes >= 1 && parsed->passes <= 16 && parsed->lanes >= 1 && parsed->lanes <= 16 &&
         hash.find('$', static_cast<std::size_t>(parsed->end)) != hash.npos;
}

}  // namespace cx::auth
