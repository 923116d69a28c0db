#pragma once

#include <string>
#include <string_view>

#include "runtime/raw.hpp"

namespace cx::http {

/// What an HTTP response says beside its reply.
struct ResponseHead {
  int status = 0;                 ///< 0: what the reply stands for
  std::string_view content_type;  ///< of a document
  std::string_view allow;         ///< Allow field, or empty
  std::string_view date;          ///< IMF-fixdate
  bool close = false;             ///< Connection: close
  bool keep_alive = false;        ///< say so: the client speaks HTTP/1.0
  bool without_body = false;      ///< answers HEAD
};

/// Appends the whole response, status line to body, and returns its status. An error becomes a problem
/// document.
int append_response(std::string& out, const RawReply& reply, const ResponseHead& head);

}  // namespace cx::http
