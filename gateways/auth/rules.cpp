#include <fmt/format.h>

#include "gateways/auth/methods.hpp"
#include "runtime/access/permission.hpp"

namespace cx::auth {
namespace {

/// Whether any document of a kind of the tenant is as `test` says.
template <class Body, class Test>
Result<bool> any(const Catalog& catalog, const std::string& kind, const std::string& tenant,
                 const Test& test) {
  constexpr std::size_t kPage = 1000;
  std::string after;
  for (;;) {
    const auto page = catalog.list(kind, tenant, after, kPage);
    if (!page) return page.error();
    for (const auto& document : *page)
      if (const auto body = read_body<Body>(document); body && test(document, *body)) return true;
    if (page->size() < kPage) return false;
    after = page->back().id();
  }
}

}  // namespace

std::optional<Error> check_grant(const Caller& caller, const Permissions& permissions) {
  const auto more = permissions & ~caller.permissions;
  if (more.none()) return std::nullopt;
  std::string names;
  for (std::size_t i = 0; i < more.size(); ++i)
    if (more.test(i)) names.append(names.empty() ? "" : ", ").append(permission_name(i));
  return Error{
      Code::permission_denied, "cannot-grant",
      fmt::format("It comes to {}, which {} may not do; nobody gives more than he has. Ask somebody who has "
                  "it.",
                  names, caller.actor),
      ""};
}

std::optional<Error> check_roles(const Directory& directory, const Caller& caller,
                                 const google::protobuf::RepeatedPtrField<std::string>& roles,
                                 const std::string& pointer) {
  for (int i = 0; i < roles.size(); ++i)
    if (!directory.has_role(caller.tenant, roles[i]))
      return Error{Code::invalid_argument, "unknown-role",
                   fmt::format("There is no role '{}'; GET /v1/roles lists them.", roles[i]),
                   fmt::format("{}/{}", pointer, i)};
  return check_grant(caller, directory.permissions_of(caller.tenant, {roles.begin(), roles.end()}));
}

std::optional<Error> check_match(const v1::Document& document, const std::string& if_match) {
  if (if_match.empty() || if_match == "*" || if_match == document.etag()) return std::nullopt;
  return Error{Code::precondition_failed, "etag-mismatch",
               fmt::format("It has changed since: its ETag is {}; look at it again.", document.etag()), ""};
}

std::optional<Error> check_admin_left(const Catalog& catalog, const std::string& tenant,
                                      const DocumentKey& without, std::int64_t now) {
  const auto is_other = [&](const v1::Document& document) { return key_of(document) != without; };
  auto left = any<v1::UserDocument>(catalog, kUser, tenant, [&](const auto& document, const auto& user) {
    return is_other(document) && !user.disabled() && is_admin(user.roles()) &&
           (!user.password_hash().empty() || user.identities_size() > 0);
  });
  if (left && !*left)
    left = any<v1::ApiKeyDocument>(catalog, kApiKey, tenant, [&](const auto& document, const auto& key) {
      return is_other(document) && !key.has_revoked_at() && is_admin(key.roles()) &&
             (!key.has_expires_at() || unix_ms(key.expires_at()) > now);
    });
  if (!left) return left.error();
  if (*left) return std::nullopt;
  return Error{Code::conflict, "last-admin",
               "It is the last administrator of the tenant: make another user or key one first.", ""};
}

Error not_found(const char* what, const std::string& name, const char* pointer) {
  return {Code::not_found, fmt::format("no-such-{}", what), fmt::format("There is no {} '{}'.", what, name),
          pointer};
}

}  // namespace cx::auth
