#pragma once

#include <algorithm>
#include <string>

#include "gateways/auth/oidc.hpp"
#include "gateways/auth/shared.hpp"
#include "gateways/auth/sign_in.hpp"

// What serves the services of cx/v1/access.proto, a source for each.

namespace cx::auth {

// What is referred to outlives the services.
void add_tokens(Services& services, const Shared& shared, const Sessions& sessions,
                IdentityProvider& passwords, Oidc& oidc);
void add_users(Services& services, const Shared& shared, const Sessions& sessions);
void add_roles(Services& services, const Shared& shared);
void add_api_keys(Services& services, const Shared& shared);
void add_tenants(Services& services, const Shared& shared);

/// Registers a method whose work may block: `serve(call, request)` gives the reply.
template <class Request, class Serve>
void add_blocking(Services& services, const Shared& shared, const char* method, Serve serve) {
  services.add(std::string("cx.v1.") + method,
               Services::Unary([&shared, serve](const CallContext& call, const MessagePtr& request,
                                                const Services::Respond& respond) {
                 shared.answer(respond, [call, request, serve] {
                   return serve(call, static_cast<const Request&>(*request));
                 });
               }));
}

/// The same for a function of its own.
template <class Request>
void add_blocking(Services& services, const Shared& shared, const char* method,
                  Services::Reply (*serve)(const Shared&, const CallContext&, const Request&)) {
  add_blocking<Request>(services, shared, method,
                        [&shared, serve](const CallContext& call, const Request& request) {
                          return serve(shared, call, request);
                        });
}

// Rules that edits have in common. Each returns what is wrong.

/// Nobody gives what he does not have: `permissions` are within the caller's. "cannot-grant".
std::optional<Error> check_grant(const Caller& caller, const Permissions& permissions);
/// Each role is there, and all of them come to no more than the caller may do.
std::optional<Error> check_roles(const Directory& directory, const Caller& caller,
                                 const google::protobuf::RepeatedPtrField<std::string>& roles,
                                 const std::string& pointer);
/// The revision is the one that the caller has looked at, if he says which. precondition_failed
/// "etag-mismatch".
std::optional<Error> check_match(const v1::Document& document, const std::string& if_match);
/// Somebody else, who is not disabled, is an administrator of the tenant; to be asked under Shared::edits
/// about a user or key that is about to be one no more. "last-admin".
std::optional<Error> check_admin_left(const Catalog& catalog, const std::string& tenant,
                                      const DocumentKey& without, std::int64_t now);
inline bool is_admin(const google::protobuf::RepeatedPtrField<std::string>& roles) {
  return std::find(roles.begin(), roles.end(), "admin") != roles.end();
}

Error not_found(const char* what, const std::string& name, const char* pointer);

/// A page of documents as messages; `add` adds one to the reply.
template <class Body, class Add>
std::optional<Error> list(const Catalog& catalog, const std::string& kind, const std::string& tenant,
                          std::uint32_t page_size, const std::string& after, std::string& next,
                          const Add& add) {
  const std::size_t size = page_size == 0 ? 50 : page_size;
  const auto documents = catalog.list(kind, tenant, after, size);
  if (!documents) return documents.error();
  for (const auto& document : *documents) {
    const auto body = read_body<Body>(document);
    if (!body) return body.error();
    add(document, *body);
  }
  if (documents->size() == size) next = documents->back().id();
  return std::nullopt;
}

}  // namespace cx::auth
