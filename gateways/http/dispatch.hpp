#pragma once

#include <memory>

#include "gateways/http/exchange.hpp"
#include "gateways/http/router.hpp"

namespace cx::http {

/// Finds what serves a complete request and hands it over, or answers `exchange` with why not. `sink`
/// delivers to `exchange`, now or later, from any thread. The request's body may be moved from.
void dispatch(const Router& router, Request& request, Exchange& exchange, std::shared_ptr<ReplySink> sink);

}  // namespace cx::http
