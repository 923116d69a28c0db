#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/error.hpp"

namespace cx {

/// The durable name of an actor: kind/tenant/key. Kind and tenant are 1 to 63 of [a-z0-9-]; the key is 1 to
/// 255 bytes of UTF-8 without control characters and may contain slashes.
struct Address {
  std::string kind, tenant, key;

  std::string text() const { return kind + '/' + tenant + '/' + key; }
  bool operator==(const Address&) const = default;
};

/// Whether `text` can be a kind or a tenant.
bool is_name(std::string_view text);

Result<Address> parse_address(std::string_view text);

/// A key made of an identifier that a stranger chose: the identifier itself where it is a valid key, else
/// "h:" and 32 hex digits of its 128-bit hash.
std::string key_from(std::string_view identifier);

inline constexpr std::uint32_t kShards = 1024;

/// The shard of everything that shares an affinity (a customer's id, say): xxh64 of the affinity, seeded with
/// that of the tenant, mod kShards.
std::uint32_t shard_of(std::string_view tenant, std::string_view affinity);

}  // namespace cx
