#include "gateways/auth/documents.hpp"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "gateways/auth/password.hpp"
#include "gateways/auth/shared_keys.hpp"
#include "runtime/access/permission.hpp"
#include "runtime/address.hpp"

namespace cx::auth {
namespace {

using google::protobuf::util::TimeUtil;
using Names = google::protobuf::RepeatedPtrField<std::string>;

constexpr std::size_t kHash = 32;
constexpr int kMostEnded = 1000;

Error invalid(std::string detail, std::string pointer) {
  return {Code::invalid_argument, "invalid-document", std::move(detail), std::move(pointer)};
}

std::optional<Error> check_permissions(const Names& permissions) {
  for (int i = 0; i < permissions.size(); ++i)
    if (!permission_number(permissions[i]))
      return invalid(fmt::format("'{}' is no permission; one is 'campaign.read', GET /v1/me lists yours.",
                                 permissions[i]),
                     fmt::format("/permissions/{}", i));
  return std::nullopt;
}

std::optional<Error> check_roles(const Names& roles) {
  for (int i = 0; i < roles.size(); ++i)
    if (!is_name(roles[i]))
      return invalid(fmt::format("'{}' is no role; GET /v1/roles lists them.", roles[i]),
                     fmt::format("/roles/{}", i));
  return std::nullopt;
}

std::optional<Error> check_user(const v1::UserDocument& user) {
  if (auto error = check_roles(user.roles())) return error;
  if (!user.password_hash().empty() && !is_password_hash(user.password_hash()))
    return invalid("The password's hash is not argon2id in PHC format.", "/password_hash");
  for (int i = 0; i < user.identities_size(); ++i)
    if (!is_name(user.identities(i).provider()) || user.identities(i).subject().empty())
      return invalid("An identity has a provider's name and a subject.", fmt::format("/identities/{}", i));
  return std::nullopt;
}

std::optional<Error> check_role(const v1::RoleDocument& role) {
  return check_permissions(role.permissions());
}

std::optional<Error> check_api_key(const v1::ApiKeyDocument& key) {
  if (auto error = check_roles(key.roles())) return error;
  if (auto error = check_permissions(key.permissions())) return error;
  if ((key.rate().requests() == 0) != (key.rate().window_seconds() == 0))
    return invalid("A limit has both, requests and window_seconds, or neither.", "/rate");
  const bool by_certificate = !key.certificate_subject().empty();
  if (by_certificate ? !key.secret_sha256().empty() : key.secret_sha256().size() != kHash)
    return invalid("A key has a secret's SHA-256 or the subject of a certificate.", "/secret_sha256");
  if (!key.old_secret_sha256().empty() && key.old_secret_sha256().size() != kHash)
    return invalid("It is not a SHA-256.", "/old_secret_sha256");
  return std::nullopt;
}

std::optional<Error> check_ended(const v1::EndedSessions& ended) {
  if (ended.sessions_size() > kMostEnded) return invalid("Too many sessions.", "/sessions");
  return std::nullopt;
}

}  // namespace

void define_access_documents(Catalog& catalog) {
  catalog.define<v1::UserDocument>(kUser, check_user);
  catalog.define<v1::RoleDocument>(kRole, check_role);
  catalog.define<v1::ApiKeyDocument>(kApiKey, check_api_key);
  catalog.define<v1::TenantDocument>(kTenant,
                                     [](const v1::TenantDocument&) -> std::optional<Error> { return {}; });
  catalog.define<v1::EndedSessions>(kEndedSessions, check_ended);
  SharedKeys::define(catalog);
}

bool is_user_name(std::string_view name) {
  if (name.empty() || name.size() > 64 || name.front() == '-' || name.front() == '_') return false;
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) return false;
  return true;
}

google::protobuf::Timestamp timestamp(std::int64_t unix_ms) {
  return TimeUtil::MillisecondsToTimestamp(unix_ms);
}

std::int64_t unix_ms(const google::protobuf::Timestamp& time) {
  return TimeUtil::TimestampToMilliseconds(time);
}

v1::User user_of(const v1::Document& document, const v1::UserDocument& body) {
  v1::User user;
  user.set_name(document.id());
  user.set_display_name(body.display_name());
  user.set_email(body.email());
  *user.mutable_roles() = body.roles();
  user.set_disabled(body.disabled());
  user.set_has_password(!body.password_hash().empty());
  *user.mutable_identities() = body.identities();
  *user.mutable_created_at() = body.created_at();
  *user.mutable_updated_at() = timestamp(document.at());
  user.set_updated_by(document.actor());
  user.set_etag(document.etag());
  return user;
}

v1::Role role_of(const v1::Document& document, const v1::RoleDocument& body) {
  v1::Role role;
  role.set_name(document.id());
  role.set_description(body.description());
  *role.mutable_permissions() = body.permissions();
  *role.mutable_updated_at() = timestamp(document.at());
  role.set_updated_by(document.actor());
  role.set_etag(document.etag());
  return role;
}

v1::ApiKey api_key_of(const v1::Document& document, const v1::ApiKeyDocument& body) {
  v1::ApiKey key;
  key.set_key_id(document.id());
  key.set_name(body.name());
  *key.mutable_roles() = body.roles();
  *key.mutable_permissions() = body.permissions();
  if (body.has_expires_at()) *key.mutable_expires_at() = body.expires_at();
  if (body.has_rate()) *key.mutable_rate() = body.rate();
  key.set_certificate_subject(body.certificate_subject());
  *key.mutable_created_at() = body.created_at();
  key.set_created_by(body.created_by());
  if (body.has_revoked_at()) *key.mutable_revoked_at() = body.revoked_at();
  if (body.has_rotated_at()) *key.mutable_rotated_at() = body.rotated_at();
  if (body.has_old_secret_until()) *key.mutable_old_secret_until() = body.old_secret_until();
  key.set_etag(document.etag());
  return key;
}

v1::Tenant tenant_of(const v1::Document& document, const v1::TenantDocument& body, bool operating) {
  v1::Tenant tenant;
  tenant.set_name(document.id());
  tenant.set_display_name(body.display_name());
  tenant.set_disabled(body.disabled());
  tenant.set_operating(operating);
  *tenant.mutable_created_at() = body.created_at();
  *tenant.mutable_updated_at() = timestamp(document.at());
  tenant.set_updated_by(document.actor());
  tenant.set_etag(document.etag());
  return tenant;
}

}  // namespace cx::auth
