#pragma once

#include <string>
#include <string_view>

#include "gateways/http/exchange.hpp"

namespace cx::http {

/// What the connection adds to a response.
struct Frame {
  std::string_view date;     ///< IMF-fixdate
  bool close = false;        ///< Connection: close
  bool vary_origin = false;  ///< answers differ by the page's origin
};

/// Appends the whole response, status line to body, and returns its status. An error becomes a problem
/// document; a document that the client already has, by its entity tag, becomes a 304.
int append_response(std::string& out, const Exchange& exchange, const Frame& frame);

}  // namespace cx::http
