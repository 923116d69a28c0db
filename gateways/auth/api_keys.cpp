#include <fmt/format.h>

#include "gateways/auth/api_key.hpp"
#include "gateways/auth/methods.hpp"

namespace cx::auth {
namespace {

using StoredKey = Stored<v1::ApiKeyDocument>;

/// What a key comes to; an error for permissions that there are not.
Result<Permissions> permissions_of(const Directory& directory, const std::string& tenant,
                                   const v1::ApiKeyDocument& key) {
  Permissions out = directory.permissions_of(tenant, {key.roles().begin(), key.roles().end()});
  for (int i = 0; i < key.permissions_size(); ++i) {
    const auto number = permission_number(key.permissions(i));
    if (!number)
      return Error{Code::invalid_argument, "unknown-permission",
                   fmt::format("'{}' is no permission; one is 'campaign.bid'.", key.permissions(i)),
                   fmt::format("/permissions/{}", i)};
    out.set(*number);
  }
  return out;
}

/// Who signs certificates says in their subject, "CN=ssp-1,O=acme", for which tenant; else one tenant could
/// have another's partners take it for theirs. The operating tenant decides about its own.
std::optional<Error> check_subject(const Directory& directory, const Caller& caller,
                                   const std::string& subject) {
  std::string organisation("O=");
  organisation.append(caller.tenant);
  bool named = caller.operates;
  for (std::size_t begin = 0; begin <= subject.size() && !named;) {
    const auto end = std::min(subject.find(',', begin), subject.size());
    auto part = std::string_view(subject).substr(begin, end - begin);
    while (part.starts_with(' ')) part.remove_prefix(1);
    named = part == organisation;
    begin = end + 1;
  }
  if (!named)
    return Error{Code::permission_denied, "not-your-certificate",
                 fmt::format("The subject does not contain {}: it is not a certificate for your tenant.",
                             organisation),
                 "/certificate_subject"};
  if (directory.certificate(subject) != nullptr)
    return Error{Code::conflict, "already-exists", "That certificate is a key already.",
                 "/certificate_subject"};
  return std::nullopt;
}

Services::Reply shown(const v1::Document& document, const v1::ApiKeyDocument& key,
                      const std::string& secret) {
  v1::ApiKeyWithSecret out;
  *out.mutable_api_key() = api_key_of(document, key);
  out.set_secret(secret);
  return reply(std::move(out));
}

Services::Reply create(const Shared& shared, const CallContext& call,
                       const v1::CreateApiKeyRequest& request) {
  const auto& caller = *call.caller;
  const auto now = shared.clock.unix_ms();
  if (request.has_expires_at() && unix_ms(request.expires_at()) <= now)
    return Error{Code::invalid_argument, "invalid-expiry", "The key would have expired already.",
                 "/expires_at"};
  v1::ApiKeyDocument key;
  key.set_name(request.name());
  *key.mutable_roles() = request.roles();
  *key.mutable_permissions() = request.permissions();
  if (request.has_expires_at()) *key.mutable_expires_at() = request.expires_at();
  if (request.has_rate()) *key.mutable_rate() = request.rate();
  key.set_certificate_subject(request.certificate_subject());
  *key.mutable_created_at() = timestamp(now);
  key.set_created_by(caller.actor);

  const std::lock_guard lock(shared.edits);
  const auto directory = shared.directory.get();
  if (auto error = check_roles(*directory, caller, key.roles(), "/roles")) return *std::move(error);
  const auto permissions = permissions_of(*directory, caller.tenant, key);
  if (!permissions) return permissions.error();
  if (auto error = check_grant(caller, *permissions)) return *std::move(error);
  auto made = make_key();
  while (directory->key(made.id) != nullptr) made = make_key();
  const bool by_certificate = !key.certificate_subject().empty();
  if (by_certificate) {
    if (auto error = check_subject(*directory, caller, key.certificate_subject())) return *std::move(error);
  } else {
    key.set_secret_sha256(text_of(sha256(made.secret)));
  }
  const auto document = shared.catalog.put({kApiKey, caller.tenant, made.id}, key, "", caller.actor);
  if (!document) return document.error();
  shared.settle(document->change());
  return shown(*document, key, by_certificate ? "" : made.text());
}

Result<StoredKey> find(const Shared& shared, const CallContext& call, const std::string& id) {
  auto key = read<v1::ApiKeyDocument>(shared.catalog, {kApiKey, call.caller->tenant, id});
  if (key || key.error().code == Code::internal || key.error().code == Code::unavailable) return key;
  return not_found("api-key", id, "/key_id");
}

Services::Reply get(const Shared& shared, const CallContext& call, const v1::GetApiKeyRequest& request) {
  const auto key = find(shared, call, request.key_id());
  if (!key) return key.error();
  return reply(api_key_of(key->document, key->body));
}

Services::Reply list_all(const Shared& shared, const CallContext& call,
                         const v1::ListApiKeysRequest& request) {
  v1::ListApiKeysReply out;
  auto error = list<v1::ApiKeyDocument>(
      shared.catalog, kApiKey, call.caller->tenant, request.page_size(), request.page_token(),
      *out.mutable_next_page_token(),
      [&](const auto& document, const auto& body) { *out.add_api_keys() = api_key_of(document, body); });
  if (error) return *std::move(error);
  return reply(std::move(out));
}

Services::Reply rotate(const Shared& shared, const CallContext& call,
                       const v1::RotateApiKeyRequest& request) {
  const auto& caller = *call.caller;
  const std::lock_guard lock(shared.edits);
  const auto found = find(shared, call, request.key_id());
  if (!found) return found.error();
  if (auto error = check_match(found->document, request.if_match())) return *std::move(error);
  auto key = found->body;
  if (key.has_revoked_at() || !key.certificate_subject().empty())
    return Error{Code::conflict, "cannot-rotate",
                 key.has_revoked_at() ? "The key is revoked; make another one."
                                      : "The key is a certificate, which has no secret here.",
                 ""};
  // Whoever has the new secret is the key.
  const auto permissions = permissions_of(*shared.directory.get(), caller.tenant, key);
  if (!permissions) return permissions.error();
  if (auto error = check_grant(caller, *permissions)) return *std::move(error);
  const auto now = shared.clock.unix_ms();
  const NewKey made{request.key_id(), random_base62(kKeySecret)};
  key.clear_old_secret_sha256();
  key.clear_old_secret_until();
  if (request.overlap_seconds() > 0) {
    key.set_old_secret_sha256(key.secret_sha256());
    *key.mutable_old_secret_until() = timestamp(now + std::int64_t{request.overlap_seconds()} * 1000);
  }
  key.set_secret_sha256(text_of(sha256(made.secret)));
  *key.mutable_rotated_at() = timestamp(now);
  const auto document = shared.catalog.put({kApiKey, caller.tenant, request.key_id()}, key,
                                           found->document.etag(), caller.actor);
  if (!document) return document.error();
  shared.settle(document->change());
  return shown(*document, key, made.text());
}

Services::Reply revoke(const Shared& shared, const CallContext& call,
                       const v1::RevokeApiKeyRequest& request) {
  const auto& caller = *call.caller;
  const std::lock_guard lock(shared.edits);
  const auto found = find(shared, call, request.key_id());
  if (!found) return found.error();
  if (auto error = check_match(found->document, request.if_match())) return *std::move(error);
  auto key = found->body;
  if (key.has_revoked_at()) return reply(api_key_of(found->document, key));
  const DocumentKey name{kApiKey, caller.tenant, request.key_id()};
  const auto now = shared.clock.unix_ms();
  if (is_admin(key.roles()))
    if (auto error = check_admin_left(shared.catalog, caller.tenant, name, now)) return *std::move(error);
  *key.mutable_revoked_at() = timestamp(now);
  const auto document = shared.catalog.put(name, key, found->document.etag(), caller.actor);
  if (!document) return document.error();
  shared.settle(document->change());
  return reply(api_key_of(*document, key));
}

}  // namespace

void add_api_keys(Services& services, const Shared& shared) {
  add_blocking(services, shared, "ApiKeys.Create", create);
  add_blocking(services, shared, "ApiKeys.Get", get);
  add_blocking(services, shared, "ApiKeys.List", list_all);
  add_blocking(services, shared, "ApiKeys.Rotate", rotate);
  add_blocking(services, shared, "ApiKeys.Revoke", revoke);
}

}  // namespace cx::auth
