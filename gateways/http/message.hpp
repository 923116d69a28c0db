#pragma once

#include <google/protobuf/message.h>
#include <memory>
#include <string_view>

#include "gateways/http/router.hpp"

namespace cx::http {

/// The request message of a route's method: from the body what the contract says the body is, from the path
/// its variables, from the query every parameter, from If-Match the field that the contract marks. A PATCH
/// whose `update_mask` is empty is of the fields that its body mentions. The body is not compressed (any
/// more). Errors: invalid_argument; those of the JSON codec (gateways/json/codec.hpp), "malformed-escape",
/// "unexpected-body", "unexpected-query", "path-mismatch", "if-match-unsupported", "invalid-if-match".
Result<std::unique_ptr<google::protobuf::Message>> read_request(const Route& route, const Values& values,
                                                                std::string_view query,
                                                                const Request& request);

}  // namespace cx::http
