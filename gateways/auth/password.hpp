#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/error.hpp"

namespace cx::auth {

/// What a hash costs. OWASP's least for argon2id: 19 MiB, two passes, one lane.
struct PasswordCost {
  std::uint32_t memory_kib = 19'456;
  std::uint32_t passes = 2;
  std::uint32_t lanes = 1;
};

/// What is wrong with a password that `user` has chosen: fewer than 12 characters, more than 1024 bytes, the
/// user's name.
std::optional<Error> check_new_password(std::string_view password, std::string_view user);

/// Argon2id (RFC 9106) under a random salt, in PHC format. Takes tens of milliseconds, and cost.memory_kib.
std::string hash_password(std::string_view password, const PasswordCost& cost = {});

/// Whether `hash` is of `password`. An empty hash is of none, which takes as long to find out.
bool is_password(std::string_view password, const std::string& hash);

/// Whether `hash` was made at another cost than `cost`.
bool is_outdated(const std::string& hash, const PasswordCost& cost = {});

/// Whether `hash` is one that can be checked with at most 256 MiB.
bool is_password_hash(const std::string& hash);

}  // namespace cx::auth
