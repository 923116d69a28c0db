#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/net/outbound.hpp"

namespace cx::channels {

/// A POST.
struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value", without line breaks
  std::string body;
  std::chrono::milliseconds timeout{10'000};  ///< for all of it, the answer included
};

struct HttpReply {
  static constexpr std::size_t kMostBody = 64 * 1024;

  long status = 0;        ///< 0: none came
  std::string body = {};  ///< its first 64 KiB; the rest is not waited for
  /// These fields of the answer as they stand there, cut to 200 bytes.
  std::string retry_after = {}, message_id = {};
  bool sent = false;       ///< without a status: the request may have reached the server
  std::string error = {};  ///< without a status: why. Never quotes the request.
};

/// Sends requests by libcurl, many at once, on a thread of its own, over connections that it keeps. Follows
/// no redirect, uses no proxy, verifies certificates, and connects to public addresses and `allowed` ones
/// only. Thread-safe.
class HttpClient {
 public:
  struct Options {
    net::PrivateHosts allowed;
    std::size_t connections = 1024;  ///< that are kept
    std::string ca_file;             ///< whom to trust instead of the system's authorities, PEM; for tests
  };
  explicit HttpClient(Options options);
  ~HttpClient();  // stops
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// `done` is called once, on the client's thread; it must be quick and not throw. After stop(), it is
  /// called at once.
  using Done = std::function<void(HttpReply)>;
  void post(HttpRequest request, Done done);

  /// Gives up what is under way, and returns when every `done` has been called. Not to be called by one.
  void stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace cx::channels
