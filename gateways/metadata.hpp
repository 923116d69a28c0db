#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/access/authenticator.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/method.hpp"

namespace cx {

// What header fields of HTTP and NATS and metadata of gRPC say alike. `given` is what was sent, empty for
// nothing.

/// The request's id: what was sent, if it is 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', else a new UUIDv7.
std::string request_id(std::string_view given, Environment& environment);

/// The trace id of a `traceparent` (W3C Trace Context), 32 hexadecimal digits; a new one where that is not
/// valid.
std::string trace_id(std::string_view traceparent, Environment& environment);

/// 1 to 255 printable characters of ASCII, and only for a method that has a use for it; else invalid_argument
/// "invalid-idempotency-key" or "idempotency-key-unsupported".
Result<std::string> idempotency_key(const Method& method, std::string_view given);

/// What an If-Match field asks for: the text of its one strong entity tag, without quotes, or "*".
/// Invalid_argument "invalid-if-match" for anything else.
Result<std::string_view> if_match_of(std::string_view field);
/// Puts that into the field that the contract marks; nothing where nothing was sent. Besides:
/// "if-match-unsupported".
std::optional<Error> read_if_match(const Method& method, std::string_view given,
                                   google::protobuf::Message& message);

/// The time that a request's X-Timeout-Ms allows, 1 to 3600000 milliseconds; invalid_argument
/// "invalid-timeout" for anything else.
Result<std::uint32_t> timeout_of(std::string_view field);

/// A method's reply in JSON, with its entity tag as metadata "etag"; of a v1::RawBody the bytes as they are,
/// with their "content-type".
RawReply write_reply(const Method& method, const Services::Reply& reply);

/// The fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers): "default";q=100;w=60 and
/// "default";r=50;t=30.
std::string rate_limit_policy(const Quota& quota);
std::string rate_limit(const Quota& quota);

}  // namespace cx
