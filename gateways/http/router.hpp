#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateways/http/exchange.hpp"
#include "runtime/method.hpp"

namespace cx::http {

/// An endpoint of the gateway's own: answers at once, on the I/O thread, with a document, perhaps in the
/// coding that the client likes best.
using Page = std::function<RawReply(Encoding accepts)>;

/// One verb of one path: a method of the contract, or a page.
struct Route {
  const Method* method = nullptr;
  Page page;
  std::string content_type;            ///< of a successful reply, and of the request where it has a body
  std::vector<std::string> variables;  ///< fields of the request, in the order of the path's values
  EndpointProbe* probe = nullptr;
};

/// What a path serves.
struct Resource {
  std::array<std::unique_ptr<Route>, static_cast<std::size_t>(Verb::other)>
      routes;         ///< by verb; HEAD is GET's
  std::string allow;  ///< "GET, HEAD, OPTIONS"

  const Route* at(Verb verb) const;
};

/// Values of a path's variables, as they stand in it: views into the path, not decoded yet.
struct Values {
  static constexpr std::size_t kMost = 8;
  std::array<std::string_view, kMost> values;
  std::size_t size = 0;
};

/// Paths and what serves them: a trie of path segments. Immutable once the server starts, then thread-safe.
///
/// A segment of a pattern is a literal or a variable, "{campaign_id}", which takes one segment that is not
/// empty; the last one may end in a verb, ":approve". A literal goes before a variable, a verb before none.
/// In the place of a variable that can have verbs, whatever stands behind the last ':' is meant as one: a
/// value with a colon in it is sent as %3A.
class Router {
 public:
  /// `methods` and `metrics` must outlive this object. Throws std::logic_error where two routes clash.
  Router(std::span<const Method> methods, Metrics& metrics);
  ~Router();

  /// Adds an endpoint of the gateway's own. `label` is its name in metrics.
  void add(const std::string& path, std::string content_type, Page page, const std::string& label);

  /// What is at a path, and the values of its variables. Null for an unknown path.
  const Resource* find(std::string_view path, Values& values) const;
  /// Patterns that an unknown path may have meant: up to three, within two edits of one segment.
  std::vector<std::string> near(std::string_view path) const;

 private:
  struct Node;

  Resource& place(const std::string& pattern, std::vector<std::string>& variables);
  void add(Verb verb, const std::string& pattern, Route route);

  Metrics& metrics_;
  const std::unique_ptr<Node> root_;
};

struct Target {
  std::string_view path, query;
};
/// Splits a request target in origin or absolute form (RFC 9112, section 3.2). Views into `target`.
Target split_target(std::string_view target);

/// Replaces the %xx of `text`, and '+' by a space in a query; false where two hexadecimal digits are missing.
bool percent_decode(std::string_view text, bool is_query, std::string& out);

}  // namespace cx::http
