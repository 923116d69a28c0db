#pragma once

#include <google/protobuf/descriptor.h>
#include <string>
#include <string_view>

#include "gateways/http/router.hpp"

namespace cx::http {

/// Serves a method of the contract in JSON (the ProtoJSON mapping, with the field names of the .proto): the
/// request from the body, or else from the query's parameters; the reply with every primitive field. What
/// does not fit the request message is an invalid_argument; an exception of the handler is `internal`.
/// `method` is of the generated pool; `handler` must outlive what is returned.
Answer transcode(const google::protobuf::MethodDescriptor& method, const Services::Unary& handler,
                 bool takes_body);

/// {"name":"value",...} of a query string, percent-decoded ('+' is a space); an error where an escape is
/// broken.
Result<std::string> query_to_json(std::string_view query);

}  // namespace cx::http
