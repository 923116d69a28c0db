#pragma once

#include <functional>
#include <google/protobuf/descriptor.h>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/raw.hpp"
#include "runtime/services.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::http {

/// Sees to an answer, now or later. Called on the I/O thread; must not block. `query`, which is what follows
/// the '?', undecoded, and `body` end with the call.
using Answer = std::function<void(std::string_view query, const std::string& body, ReplyTo reply)>;
/// An endpoint of the gateway's own: answers at once.
using Page = std::function<RawReply()>;

/// One verb of one path. Exactly one of `raw` and `answer` is set.
struct Route {
  std::string content_type;  ///< of a successful reply, and of the request where it has a body
  bool takes_body = false;
  RawTarget* raw = nullptr;
  Answer answer;
  EndpointProbe* probe = nullptr;
};

/// What a path serves.
struct Resource {
  std::optional<Route> get, post;
};

/// Paths and what serves them: every method of the contract that has a `route` option. Immutable once the
/// server starts, then thread-safe.
class Router {
 public:
  /// A method that `services` lacks is answered 503. `services` and `metrics` must outlive this object.
  Router(const Services& services, Metrics& metrics);

  /// Adds an endpoint of the gateway's own.
  void get(const std::string& path, std::string content_type, Page page);

  /// Null for an unknown path.
  const Resource* find(std::string_view path) const;
  /// "GET /healthz, POST /v1/bid, ...": every route, for messages.
  std::string known() const;

 private:
  void add(const google::protobuf::MethodDescriptor& method, const Services& services);

  Metrics& metrics_;
  std::map<std::string, Resource, std::less<>> resources_;
};

struct Target {
  std::string_view path, query;
};
/// Splits a request target in origin or absolute form (RFC 9112, section 3.2). Views into `target`.
Target split_target(std::string_view target);

}  // namespace cx::http
