#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

namespace cx {

/// The HTTP status of a failure (RFC 9110, section 15).
int http_status(Code code) noexcept;

/// The reason phrase of a status that our gateways send; also the title of its problems. Static storage.
std::string_view reason_phrase(int status) noexcept;

/// The problem document of an error (RFC 9457, application/problem+json): the JSON form of cx.v1.Problem,
/// with `pointer` and `instance`, the id of the request, only where they are known. `status` is
/// http_status(error.code) unless a protocol is more specific (405).
std::string problem_json(int status, const Error& error, std::string_view instance = {});

/// What callers can read about a type of problem. Views of the catalogue.
struct Problem {
  std::string_view type;    ///< "etag-mismatch"
  std::string_view status;  ///< "412", or where it depends "400, 404"
  std::string_view meaning;
  std::string_view remedy;
};

/// The catalogue of problem types, gateways/PROBLEMS.md, as it is and row by row.
std::string_view problem_catalogue() noexcept;
const std::vector<Problem>& problems();

}  // namespace cx
