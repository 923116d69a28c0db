#pragma once

#include <google/protobuf/message.h>
#include <string>
#include <string_view>

#include "runtime/error.hpp"

namespace cx {

/// Where the next page of a list begins, as callers carry it: opaque, and good for the same list only, which
/// is `scope` (the tenant, and whatever else it depends on) and every field of `request` but page_size and
/// page_token. `position` names the last thing of the page by what the list is ordered by, so that what comes
/// or goes meanwhile shifts no page. It is no secret, and a caller can make one up: it must not lead to
/// anything that the caller could not have asked for.
std::string make_page_token(const google::protobuf::Message& request, std::string_view scope,
                            std::string_view position);

/// The position in the page_token of `request`; empty where it has none. invalid_argument
/// "invalid-page-token".
Result<std::string> page_position(const google::protobuf::Message& request, std::string_view scope);

/// What is wrong with a page token, or with the position in it.
Error invalid_page_token();

/// What a page_size comes to: 50 by default, at most 1,000.
std::int64_t page_rows(std::int64_t page_size);

}  // namespace cx
