#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

namespace cx::inference::remote {

struct HttpAnswer {
  std::string body;
  std::optional<std::size_t> json_size;  ///< Inference-Header-Content-Length
};

/// Requests to one server, one at a time, by libcurl over a connection that it keeps. The caller waits; what
/// many senders share, and what strangers may have us call, is channels::HttpClient's. Follows no redirect,
/// uses no proxy, verifies certificates. Used by one thread at a time.
class HttpSession {
 public:
  /// `protocol` is named in errors; it stays valid. `ca_file`: authorities of https, PEM; empty: the
  /// system's.
  explicit HttpSession(std::string_view protocol, std::string ca_file = {});
  ~HttpSession();
  HttpSession(HttpSession&&) = delete;

  struct Request {
    std::string url;
    std::vector<std::string> headers;       ///< "Name: value"
    std::optional<std::string_view> body;   ///< with one it is a POST, without a GET
    std::chrono::milliseconds timeout{20};  ///< of all of it, at least 1
    std::size_t most = 65'536;              ///< bytes of the answer's body; a longer one is an error
  };
  /// A complete answer of status 200; errors as in Protocol.
  Result<HttpAnswer> send(const Request& request);

 private:
  struct Handle;
  std::string_view protocol_;
  const std::string ca_file_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace cx::inference::remote
