#pragma once

#include <span>
#include <string_view>

#include "runtime/access/permission.hpp"

namespace cx::auth {

/// A role that every tenant has:
///
///   admin       everything; in the operating tenant system.* as well
///   manager     runs campaigns and approves them, looks at everything of the tenant, creatives and tests
///   included director    as a manager, and sees plans and invoices compliance  approves, and looks at
///   everything marketer    edits campaigns, creatives, journeys, experiments and customers; does not approve
///   analyst     looks at campaigns, experiments, customers and reports
///   bidder      sends bid requests, nothing else
///   source      sends events; alone nothing else, so that such a key may stand in a page (Caller::is_source)
///   operator    runs the node: system.*, of the operating tenant only
///   viewer      looks at everything
struct BuiltInRole {
  std::string_view name;
  std::string_view description;
  Permissions permissions;
};

std::span<const BuiltInRole> built_in_roles();
/// Null where there is none.
const BuiltInRole* find_built_in_role(std::string_view name);

}  // namespace cx::auth
