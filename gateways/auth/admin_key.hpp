#pragma once

#include "gateways/auth/shared.hpp"

namespace cx::auth {

struct AdminKey {
  v1::ApiKeyWithSecret key;
  std::uint64_t change;  ///< of the catalog
};
/// Stores a key for a tenant with the role admin, which does not expire. Blocks.
Result<AdminKey> make_admin_key(const Shared& shared, const std::string& tenant, const std::string& actor);

/// See Access::bootstrap().
std::optional<Error> bootstrap(const Shared& shared, const std::string& data);

}  // namespace cx::auth
