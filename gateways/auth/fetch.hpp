#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/error.hpp"

namespace cx::auth {

/// A request to an identity provider.
struct FetchRequest {
  std::string url;
  std::string form = {};                 ///< application/x-www-form-urlencoded: POST; empty: GET
  std::string user = {}, password = {};  ///< of basic authentication; none when `user` is empty
};
struct Fetched {
  long status = 0;
  std::string body;
  std::int64_t max_age = -1;  ///< seconds, of Cache-Control; -1 when it has none
};
/// Blocks. Errors: "fetch-failed", whose detail never quotes what was sent.
using Fetch = std::function<Result<Fetched>(const FetchRequest&)>;

/// By libcurl, within 5 seconds and 256 KiB, following no redirect and using no proxy: https, and http to
/// this machine. What a name resolves to has to be a public address, so that nobody can have us call our own
/// network; whoever means a private one writes the address itself, or "localhost", into the URL.
Result<Fetched> fetch_by_curl(const FetchRequest& request);

/// Whether a URL may be fetched at all: "invalid-url" says why not.
std::optional<Error> check_url(const std::string& url);
/// The same of a URL that stands in a document from `source`: whoever wrote it may not send us to an address
/// or to this machine, unless it is the source's own.
std::optional<Error> check_url_of(const std::string& url, const std::string& source);
/// A text as it stands in a query or form.
std::string form_encode(std::string_view text);

}  // namespace cx::auth
