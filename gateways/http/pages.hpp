#pragma once

#include "gateways/http/router.hpp"
#include "gateways/http/server.hpp"

namespace cx::http {

/// Serves a document with its strong entity tag, in gzip and br to who accepts that.
Page page_of(const Document& document);

/// Adds a page for each type of problem, /problems/{type}, and the catalogue itself, /problems.
void add_problems(Router& router);

}  // namespace cx::http
