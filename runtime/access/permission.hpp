#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace cx {

/// A set of values of v1::Permission, by number.
using Permissions = std::bitset<32>;

/// The number of a permission by the name that methods carry, "campaign.approve"; none for what is no
/// permission.
std::optional<std::size_t> permission_number(std::string_view name);
/// The reverse: "campaign.approve".
std::string permission_name(std::size_t number);
/// Every permission that there is.
const Permissions& all_permissions();
/// Those that are about the node rather than a tenant: only the operating tenant's callers have them.
const Permissions& system_permissions();

}  // namespace cx
