#include <fmt/format.h>

#include "gateways/auth/methods.hpp"
#include "gateways/auth/roles.hpp"

namespace cx::auth {
namespace {

v1::Role shown(const BuiltInRole& built_in, bool operates) {
  v1::Role role;
  role.set_name(std::string(built_in.name));
  role.set_description(std::string(built_in.description));
  const auto permissions = operates ? built_in.permissions : built_in.permissions & ~system_permissions();
  for (std::size_t i = 0; i < permissions.size(); ++i)
    if (permissions.test(i)) role.add_permissions(permission_name(i));
  role.set_built_in(true);
  return role;
}

Error is_built_in(const std::string& name) {
  return {Code::conflict, "built-in-role",
          fmt::format("The role {} is built in and the same for everybody; make one of another name.", name),
          "/name"};
}

Services::Reply put(const Shared& shared, const CallContext& call, const v1::PutRoleRequest& request) {
  const auto& caller = *call.caller;
  if (find_built_in_role(request.name()) != nullptr) return is_built_in(request.name());
  v1::RoleDocument role;
  role.set_description(request.role().description());
  *role.mutable_permissions() = request.role().permissions();
  Permissions permissions;
  for (int i = 0; i < role.permissions_size(); ++i) {
    const auto number = permission_number(role.permissions(i));
    if (!number)
      return Error{Code::invalid_argument, "unknown-permission",
                   fmt::format("'{}' is no permission; one is 'campaign.read'.", role.permissions(i)),
                   fmt::format("/role/permissions/{}", i)};
    permissions.set(*number);
  }
  if (auto error = check_grant(caller, permissions)) return *std::move(error);
  const DocumentKey key{kRole, caller.tenant, request.name()};
  const std::lock_guard lock(shared.edits);
  const auto before = shared.catalog.get(key);
  if (before) {
    if (auto error = check_match(*before, request.if_match())) return *std::move(error);
  } else if (!request.if_match().empty()) {
    return not_found("role", request.name(), "/name");
  }
  const auto document = shared.catalog.put(key, role, before ? before->etag() : "", caller.actor);
  if (!document) return document.error();
  shared.settle(document->change());
  return reply(role_of(*document, role));
}

Services::Reply get(const Shared& shared, const CallContext& call, const v1::GetRoleRequest& request) {
  if (const auto* built_in = find_built_in_role(request.name()))
    return reply(shown(*built_in, call.caller->operates));
  const auto role = read<v1::RoleDocument>(shared.catalog, {kRole, call.caller->tenant, request.name()});
  if (!role)
    return role.error().code == Code::not_found ? not_found("role", request.name(), "/name") : role.error();
  return reply(role_of(role->document, role->body));
}

Services::Reply list_all(const Shared& shared, const CallContext& call, const v1::ListRolesRequest& request) {
  v1::ListRolesReply out;
  if (request.page_token().empty())
    for (const auto& built_in : built_in_roles()) *out.add_roles() = shown(built_in, call.caller->operates);
  auto error = list<v1::RoleDocument>(
      shared.catalog, kRole, call.caller->tenant, request.page_size(), request.page_token(),
      *out.mutable_next_page_token(),
      [&](const auto& document, const auto& body) { *out.add_roles() = role_of(document, body); });
  if (error) return *std::move(error);
  return reply(std::move(out));
}

Services::Reply remove(const Shared& shared, const CallContext& call, const v1::DeleteRoleRequest& request) {
  if (find_built_in_role(request.name()) != nullptr) return is_built_in(request.name());
  const DocumentKey key{kRole, call.caller->tenant, request.name()};
  const std::lock_guard lock(shared.edits);
  const auto role = shared.catalog.get(key);
  if (!role)
    return role.error().code == Code::not_found ? not_found("role", request.name(), "/name") : role.error();
  if (auto error = check_match(*role, request.if_match())) return *std::move(error);
  const auto removed = shared.catalog.remove(key, role->etag(), call.caller->actor);
  if (!removed) return removed.error();
  shared.settle(removed->change());
  return reply(v1::DeleteRoleReply());
}

}  // namespace

void add_roles(Services& services, const Shared& shared) {
  add_blocking(services, shared, "Roles.Put", put);
  add_blocking(services, shared, "Roles.Get", get);
  add_blocking(services, shared, "Roles.List", list_all);
  add_blocking(services, shared, "Roles.Delete", remove);
}

}  // namespace cx::auth
