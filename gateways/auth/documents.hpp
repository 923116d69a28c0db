#pragma once

#include <string>
#include <string_view>

#include "cx/v1/access.pb.h"
#include "runtime/catalog/catalog.hpp"

namespace cx::auth {

// Kinds of documents; cx/v1/access.proto says what they are.
inline const std::string kUser = "user", kRole = "role", kApiKey = "api-key", kTenant = "tenant",
                         kEndedSessions = "ended-sessions";
/// The tenant that documents about tenants are of. None can have that name.
inline const std::string kSystemTenant = "system";

/// Before the first edit.
void define_access_documents(Catalog& catalog);

/// 1 to 64 of a-z, 0-9, '-' and '_', a letter or digit first.
bool is_user_name(std::string_view name);

google::protobuf::Timestamp timestamp(std::int64_t unix_ms);
/// 0 for one that is not set.
std::int64_t unix_ms(const google::protobuf::Timestamp& time);

// Documents as callers see them. `document` is of that kind and readable.
v1::User user_of(const v1::Document& document, const v1::UserDocument& body);
v1::Role role_of(const v1::Document& document, const v1::RoleDocument& body);
v1::ApiKey api_key_of(const v1::Document& document, const v1::ApiKeyDocument& body);
v1::Tenant tenant_of(const v1::Document& document, const v1::TenantDocument& body, bool operating);

}  // namespace cx::auth
