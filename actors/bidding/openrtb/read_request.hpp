#pragma once

#include <optional>
#include <simdjson.h>

#include "actors/bidding/openrtb/request.hpp"
#include "runtime/error.hpp"

namespace cx::openrtb {

/// Validates the bid request at `root` and overwrites `out` with it.
std::optional<Error> read_request(simdjson::dom::element root, Request& out);

}  // namespace cx::openrtb
