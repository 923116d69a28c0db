#include "actors/journey/address.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <xxhash.h>

#include "runtime/address.hpp"

namespace cx::journey {
namespace {

constexpr std::size_t kCustomerBytes = 120;
constexpr std::size_t kKeyBytes = 64;

std::string hashed(std::string_view prefix, std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{}{:016x}{:016x}", prefix, hash.high64, hash.low64);
}

}  // namespace

std::string customer_key(std::string_view id) {
  return id.size() > kCustomerBytes ? hashed("h:", id) : key_from(id);
}

std::string instance_name(std::string_view journey, std::string_view key, std::string_view customer) {
  std::string out(journey);
  if (!key.empty()) out.append("@").append(key);
  return out.append(":").append(customer);
}

std::optional<Instance> parse_instance(std::string_view name) {
  const auto colon = name.find(':');  // neither journey nor key has one
  if (colon == name.npos || colon + 1 == name.size()) return std::nullopt;
  const auto run = name.substr(0, colon);
  const auto at = run.find('@');
  Instance out{run.substr(0, at), at == run.npos ? std::string_view() : run.substr(at + 1),
               name.substr(colon + 1)};
  if (!is_name(out.journey) || (at != run.npos && out.key.empty())) return std::nullopt;
  return out;
}

std::string instance_key(std::string_view key) {
  const bool plain =
      !key.empty() && key.size() <= kKeyBytes && std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '.' || c == '-';
      });
  return plain ? std::string(key) : hashed("h-", key);
}

}  // namespace cx::journey
