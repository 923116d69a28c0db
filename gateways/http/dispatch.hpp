#pragma once

#include <memory>
#include <string_view>

#include "gateways/door.hpp"
#include "gateways/http/cors.hpp"
#include "gateways/http/exchange.hpp"
#include "gateways/http/router.hpp"

namespace cx::http {

/// What a server serves; read-only once it runs.
struct Site {
  Site(v1::HttpConfig c, std::span<const Method> methods, const Door& d, Metrics& metrics)
      : config(std::move(c)), door(d), router(methods, metrics), origins(config) {}

  const v1::HttpConfig config;
  const Door& door;
  Router router;
  const Origins origins;
};

/// Finds what serves a complete request and hands it over, or answers `exchange` with why not. `certificate`
/// is the subject that the client has proven, or empty. `sink` delivers to `exchange`, now or later, from any
/// thread. The request's body may be moved from.
void dispatch(const Site& site, Request& request, std::string_view certificate, Exchange& exchange,
              std::shared_ptr<ReplySink> sink);

}  // namespace cx::http
