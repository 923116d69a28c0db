#pragma once

#include <string>
#include <string_view>

#include "runtime/raw.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::http {

class Connection;

/// What the gateway needs of a request; reused from one request to the next.
struct Request {
  enum class Method { get, head, post, other };
  Method method = Method::other;
  std::string target;
  std::string content_type;  ///< as sent, empty if absent
  bool encoded = false;      ///< a Content-Encoding other than identity
  bool expect_continue = false;
  bool http10 = false;
  std::string body;  ///< with kRawPadding spare bytes of capacity
};

/// A request under way, and where its answer goes. Its address is stable until it is answered.
struct Exchange final : ReplySink {
  explicit Exchange(Connection& c) : connection(c) {}
  void deliver(RawReply reply) noexcept override;
  void answer(RawReply r) {
    reply = std::move(r);
    answered = true;
  }
  /// Answers with an error that only HTTP has.
  void refuse(int http_status, std::string type, std::string detail) {
    status = http_status;
    answer(RawReply::failure({Code::invalid_argument, std::move(type), std::move(detail), ""}));
  }

  Connection& connection;
  SteadyTime received;
  RawReply reply;
  EndpointProbe* probe = nullptr;
  std::string_view content_type, allow;
  int status = 0;  ///< 0: what the reply stands for
  bool answered = false;
  bool interim = false;  ///< a "100 Continue", no answer
  bool head = false;
  bool http10 = false;
};

}  // namespace cx::http
