#include <fmt/format.h>

#include "gateways/auth/admin_key.hpp"
#include "gateways/auth/methods.hpp"

namespace cx::auth {
namespace {

using StoredTenant = Stored<v1::TenantDocument>;

Result<StoredTenant> find(const Shared& shared, const std::string& name) {
  auto tenant = read<v1::TenantDocument>(shared.catalog, {kTenant, kSystemTenant, name});
  if (tenant || tenant.error().code != Code::not_found) return tenant;
  return not_found("tenant", name, "/name");
}

Services::Reply create(const Shared& shared, const CallContext& call,
                       const v1::CreateTenantRequest& request) {
  if (request.name() == kSystemTenant)
    return Error{Code::invalid_argument, "invalid-name",
                 "No tenant can be called 'system'; take another name.", "/name"};
  const DocumentKey key{kTenant, kSystemTenant, request.name()};
  v1::TenantDocument tenant;
  tenant.set_display_name(request.display_name());
  *tenant.mutable_created_at() = timestamp(shared.clock.unix_ms());
  const std::lock_guard lock(shared.edits);
  const auto document = shared.catalog.put(key, tenant, "", call.caller->actor);
  if (!document) return document.error();
  auto made = make_admin_key(shared, request.name(), call.caller->actor);
  if (!made) {
    const auto undone = shared.catalog.remove(key, document->etag(), call.caller->actor);
    if (!undone) return undone.error();
    return made.error();
  }
  shared.settle(made->change);
  v1::CreateTenantReply out;
  *out.mutable_tenant() = tenant_of(*document, tenant, false);
  *out.mutable_admin_key() = std::move(made->key);
  return reply(std::move(out));
}

Services::Reply show(const Shared& shared, const std::string& name) {
  const auto tenant = find(shared, name);
  if (!tenant) return tenant.error();
  return reply(tenant_of(tenant->document, tenant->body, name == shared.operating));
}

Services::Reply get(const Shared& shared, const CallContext&, const v1::GetTenantRequest& request) {
  return show(shared, request.name());
}

Services::Reply get_own(const Shared& shared, const CallContext& call, const v1::GetOwnTenantRequest&) {
  return show(shared, call.caller->tenant);
}

Services::Reply list_all(const Shared& shared, const CallContext&, const v1::ListTenantsRequest& request) {
  v1::ListTenantsReply out;
  auto error = list<v1::TenantDocument>(
      shared.catalog, kTenant, kSystemTenant, request.page_size(), request.page_token(),
      *out.mutable_next_page_token(), [&](const auto& document, const auto& body) {
        *out.add_tenants() = tenant_of(document, body, document.id() == shared.operating);
      });
  if (error) return *std::move(error);
  return reply(std::move(out));
}

Services::Reply update(const Shared& shared, const CallContext& call,
                       const v1::UpdateTenantRequest& request) {
  const std::lock_guard lock(shared.edits);
  const auto found = find(shared, request.name());
  if (!found) return found.error();
  if (auto error = check_match(found->document, request.if_match())) return *std::move(error);
  auto tenant = found->body;
  std::vector<std::string> fields(request.update_mask().paths().begin(), request.update_mask().paths().end());
  if (fields.empty()) fields = {"display_name", "disabled"};
  for (const auto& field : fields) {
    if (field == "display_name")
      tenant.set_display_name(request.settings().display_name());
    else if (field == "disabled")
      tenant.set_disabled(request.settings().disabled());
    else
      return Error{Code::invalid_argument, "unknown-field",
                   fmt::format("'{}' cannot be edited; what can are display_name and disabled.", field),
                   "/update_mask"};
  }
  if (tenant.disabled() && request.name() == shared.operating)
    return Error{Code::conflict, "operating-tenant",
                 "The tenant that runs the node cannot be disabled: nobody could enable it again.",
                 "/settings/disabled"};
  const auto document = shared.catalog.put({kTenant, kSystemTenant, request.name()}, tenant,
                                           found->document.etag(), call.caller->actor);
  if (!document) return document.error();
  shared.settle(document->change());
  return reply(tenant_of(*document, tenant, request.name() == shared.operating));
}

}  // namespace

void add_tenants(Services& services, const Shared& shared) {
  add_blocking(services, shared, "Tenants.Create", create);
  add_blocking(services, shared, "Tenants.Get", get);
  add_blocking(services, shared, "Tenants.List", list_all);
  add_blocking(services, shared, "Tenants.Update", update);
  add_blocking(services, shared, "Tenants.GetOwn", get_own);
}

}  // namespace cx::auth
