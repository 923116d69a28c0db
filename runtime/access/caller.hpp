#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/access/permission.hpp"

namespace cx {

/// Who calls, as a credential has proven. Immutable once made.
struct Caller {
  std::string tenant;  ///< everything that the caller does happens in it
  std::string actor;   ///< "user/ana", "key/3f9c2a71": who, in records and in the audit log
  std::vector<std::string> roles;
  Permissions permissions;      ///< what roles and scopes come to
  std::int64_t expires_at = 0;  ///< of the credential, Unix milliseconds; 0 for never
  bool operates = false;        ///< of the tenant that runs the node
  std::string credential;       ///< "access-token", "external-token", "api-key", "certificate", "anonymous"
  std::string session;          ///< of an access token; else empty

  /// Whether this is everybody who has seen a page: a key of the role that is for keys which pages show.
  bool is_source() const { return roles.size() == 1 && roles.front() == "source"; }
};
using CallerPtr = std::shared_ptr<const Caller>;

}  // namespace cx
