#include "runtime/address.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <simdjson.h>
#include <xxhash.h>

namespace cx {
namespace {

bool is_key(std::string_view s) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  // Protobuf takes no other text, and addresses are in records.
  return !s.empty() && s.size() <= 255 && std::none_of(s.begin(), s.end(), is_control) &&
         simdjson::validate_utf8(s.data(), s.size());
}

Error invalid(std::string detail) {
  return {Code::invalid_argument, "invalid-address", std::move(detail), ""};
}

}  // namespace

bool is_name(std::string_view s) {
  return !s.empty() && s.size() <= 63 && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<Address> parse_address(std::string_view text) {
  const auto first = text.find('/');
  const auto second = first == text.npos ? text.npos : text.find('/', first + 1);
  if (second == text.npos)
    return invalid("An address has three parts, kind/tenant/key, as in customer/demo/c-81f.");
  const auto kind = text.substr(0, first);
  const auto tenant = text.substr(first + 1, second - first - 1);
  const auto key = text.substr(second + 1);
  if (!is_name(kind)) return invalid("The kind of an address is 1 to 63 characters of a-z, 0-9 and '-'.");
  if (!is_name(tenant)) return invalid("The tenant of an address is 1 to 63 characters of a-z, 0-9 and '-'.");
  if (!is_key(key))
    return invalid("The key of an address is 1 to 255 bytes of UTF-8 without control characters.");
  return Address{std::string(kind), std::string(tenant), std::string(key)};
}

std::string key_from(std::string_view identifier) {
  if (is_key(identifier)) return std::string(identifier);
  const XXH128_hash_t hash = XXH3_128bits(identifier.data(), identifier.size());
  return fmt::format("h:{:016x}{:016x}", hash.high64, hash.low64);
}

std::uint32_t shard_of(std::string_view tenant, std::string_view affinity) {
  const auto seed = XXH64(tenant.data(), tenant.size(), 0);
  return static_cast<std::uint32_t>(XXH64(affinity.data(), affinity.size(), seed) % kShards);
}

}  // namespace cx
