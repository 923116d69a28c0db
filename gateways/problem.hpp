#pragma once

#include <string>
#include <string_view>

#include "runtime/error.hpp"

namespace cx {

/// The HTTP status of a failure (RFC 9110, section 15).
int http_status(Code code) noexcept;

/// The reason phrase of a status that our gateways send; also the title of its problems. Static storage.
std::string_view reason_phrase(int status) noexcept;

/// The problem document of an error (RFC 9457, application/problem+json): the JSON form of cx.v1.Problem,
/// with `pointer` only where it is known. `status` is http_status(error.code) unless a protocol is more
/// specific (405).
std::string problem_json(int status, const Error& error);

}  // namespace cx
