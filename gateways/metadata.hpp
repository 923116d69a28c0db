#pragma once

#include <string>
#include <string_view>

#include "runtime/access/authenticator.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/method.hpp"

namespace cx {

// What header fields of HTTP and metadata of gRPC say alike. `given` is what was sent, empty for nothing.

/// The request's id: what was sent, if it is 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', else a new UUIDv7.
std::string request_id(std::string_view given, Environment& environment);

/// The trace id of a `traceparent` (W3C Trace Context), 32 hexadecimal digits; a new one where that is not
/// valid.
std::string trace_id(std::string_view traceparent, Environment& environment);

/// 1 to 255 printable characters of ASCII, and only for a method that has a use for it; else invalid_argument
/// "invalid-idempotency-key" or "idempotency-key-unsupported".
Result<std::string> idempotency_key(const Method& method, std::string_view given);

/// The fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers): "default";q=100;w=60 and
/// "default";r=50;t=30.
std::string rate_limit_policy(const Quota& quota);
std::string rate_limit(const Quota& quota);

}  // namespace cx
