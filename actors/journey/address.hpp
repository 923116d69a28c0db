#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cx::journey {

/// A customer's key: what a source calls the customer, or where that is longer than 120 bytes or no valid key
/// "h:" and 32 hex digits of its hash.
std::string customer_key(std::string_view id);

/// What an instance's address names: journey/<tenant>/<journey>[@<key>]:<customer>.
struct Instance {
  std::string_view journey, key, customer;
};
/// The key part of an instance's address. `key`: as instance_key() gives it, or empty.
std::string instance_name(std::string_view journey, std::string_view key, std::string_view customer);
/// The reverse; none for what is none.
std::optional<Instance> parse_instance(std::string_view name);
/// A journey key as addresses have it: itself if it is 1 to 64 of [A-Za-z0-9_.-], else "h-" and 32 hex
/// digits.
std::string instance_key(std::string_view key);

}  // namespace cx::journey
