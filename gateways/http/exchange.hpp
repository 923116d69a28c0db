#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateways/http/encoding.hpp"
#include "runtime/access/authenticator.hpp"
#include "runtime/raw.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::http {

class Connection;

enum class Verb : std::uint8_t { get, head, post, put, patch, remove, options, other };

/// The header fields that the gateway reads.
enum class Field : std::uint8_t {
  accept_encoding,
  api_key,
  authorization,
  content_encoding,
  content_type,
  idempotency_key,
  if_match,
  if_none_match,
  origin,
  preflight_method,  ///< Access-Control-Request-Method
  request_id,
  timeout,
  traceparent,
};
inline constexpr std::size_t kFields = 13;

/// What the gateway needs of a request; reused from one request to the next.
struct Request {
  /// Its value, empty if absent. A field that was sent twice has both values with ", " between, as they mean
  /// (RFC 9110, section 5.3): what takes one value finds that invalid.
  std::string& field(Field f) { return fields[static_cast<std::size_t>(f)]; }
  const std::string& field(Field f) const { return fields[static_cast<std::size_t>(f)]; }

  Verb verb = Verb::other;
  std::string target;
  std::array<std::string, kFields> fields;
  bool expect_continue = false;
  bool http10 = false;
  std::string body;  ///< with kRawPadding spare bytes of capacity
};

/// A request under way, and where its answer goes. Its address is stable until it is answered.
struct Exchange final : ReplySink {
  enum class Challenge : std::uint8_t { none, credential, valid_credential };

  explicit Exchange(Connection& c) : connection(c) {}
  /// Compresses the reply, on the thread that calls, and hands it to the connection.
  void deliver(RawReply reply) noexcept override;
  void answer(RawReply r) {
    reply = std::move(r);
    answered = true;
  }
  void refuse(Error error) { answer(RawReply::failure(std::move(error))); }
  /// Answers with an error that only HTTP has.
  void refuse(int http_status, std::string type, std::string detail) {
    status = http_status;
    refuse({Code::invalid_argument, std::move(type), std::move(detail), ""});
  }

  Connection& connection;
  SteadyTime received;
  RawReply reply;
  EndpointProbe* probe = nullptr;
  std::string request_id;
  std::string if_none_match;      ///< of GET and HEAD
  std::string_view content_type;  ///< of a document; metadata "content-type" goes before it
  std::string_view allow;
  std::string_view allow_origin;  ///< CORS; empty where it is not for this origin
  Quota quota;
  int status = 0;                         ///< 0: what the reply stands for
  std::uint32_t retry_seconds = 0;        ///< Retry-After
  Encoding accepts = Encoding::identity;  ///< of a reply
  std::size_t worth_encoding = kWorthEncoding;
  Challenge challenge = Challenge::none;  ///< what a 401 asks for
  bool answered = false;
  bool interim = false;  ///< a "100 Continue", no answer
  bool preflight = false;
  bool head = false;
  bool http10 = false;
  bool no_store = false;         ///< nobody's but the caller's
  bool accept_encoding = false;  ///< tell which encodings of a request would do
};

}  // namespace cx::http
