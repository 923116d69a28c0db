#include "gateways/auth/roles.hpp"

#include <array>
#include <initializer_list>

#include "cx/v1/permission.pb.h"

namespace cx::auth {
namespace {

Permissions set(std::initializer_list<v1::Permission> some) {
  Permissions out;
  for (const auto permission : some) out.set(permission);
  return out;
}

/// Every permission to look, but for the node's.
Permissions reading() {
  return set({v1::PERMISSION_CAMPAIGN_READ, v1::PERMISSION_CREATIVE_READ, v1::PERMISSION_JOURNEY_READ,
              v1::PERMISSION_EXPERIMENT_READ, v1::PERMISSION_CDP_READ, v1::PERMISSION_ANALYTICS_READ,
              v1::PERMISSION_TENANT_READ});
}

Permissions managing() {
  return reading() |
         set({v1::PERMISSION_CAMPAIGN_WRITE, v1::PERMISSION_CAMPAIGN_APPROVE, v1::PERMISSION_CREATIVE_WRITE,
              v1::PERMISSION_JOURNEY_WRITE, v1::PERMISSION_EXPERIMENT_WRITE, v1::PERMISSION_DCO_MANAGE});
}

std::array<BuiltInRole, 10> make() {
  return {{
      {"admin", "Everything in the tenant; in the operating tenant the node as well.", all_permissions()},
      {"manager", "Runs and approves campaigns, journeys and experiments.", managing()},
      {"director", "As a manager, with plans and invoices.",
       managing() | set({v1::PERMISSION_BILLING_MANAGE})},
      {"compliance", "Approves campaigns and looks at everything.",
       reading() | set({v1::PERMISSION_CAMPAIGN_APPROVE})},
      {"marketer", "Edits campaigns, creatives, journeys, experiments and customers.",
       reading() |
           set({v1::PERMISSION_CAMPAIGN_WRITE, v1::PERMISSION_CREATIVE_WRITE, v1::PERMISSION_JOURNEY_WRITE,
                v1::PERMISSION_EXPERIMENT_WRITE, v1::PERMISSION_DCO_MANAGE, v1::PERMISSION_CDP_WRITE})},
      {"analyst", "Looks at campaigns, experiments, customers and reports.",
       set({v1::PERMISSION_CAMPAIGN_READ, v1::PERMISSION_EXPERIMENT_READ, v1::PERMISSION_CDP_READ,
            v1::PERMISSION_ANALYTICS_READ})},
      {"bidder", "Sends bid requests, nothing else.", set({v1::PERMISSION_CAMPAIGN_BID})},
      {"source", "Sends events; a key with this role alone does nothing else, so that a page may show it.",
       set({v1::PERMISSION_CDP_WRITE})},
      {"operator", "Runs the node; of the operating tenant only.", system_permissions()},
      {"viewer", "Looks at everything in the tenant.", reading()},
  }};
}

}  // namespace

std::span<const BuiltInRole> built_in_roles() {
  static const auto all = make();
  return all;
}

const BuiltInRole* find_built_in_role(std::string_view name) {
  for (const auto& role : built_in_roles())
    if (role.name == name) return &role;
  return nullptr;
}

}  // namespace cx::auth
