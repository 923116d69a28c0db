#pragma once

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <doctest/doctest.h>
#include <future>
#include <string>

#include "providers/channels/http.hpp"
#include "tools/vendor-sim/server.hpp"
#include "tools/vendor-sim/simulator.hpp"

namespace cx::channels::test {

inline constexpr char kSecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
inline constexpr char kApiKey[] = "SG.the-key-of-the-test";

/// Private hosts that tests call.
inline net::PrivateHosts here() {
  const std::string all[] = {"127.0.0.0/8", "[::1]:1"};
  auto parsed = net::PrivateHosts::parse(all);
  REQUIRE(parsed);
  return *parsed;
}

inline HttpReply post(HttpClient& client, HttpRequest request) {
  std::promise<HttpReply> promise;
  client.post(std::move(request), [&](HttpReply reply) { promise.set_value(std::move(reply)); });
  return promise.get_future().get();
}

/// The vendors, in this process, and how to speak to them.
class Vendor {
 public:
  explicit Vendor(std::string secret = kSecret) : server_(options(std::move(secret))) {
    const auto port = server_.start();
    REQUIRE(port);
    url_ = "http://127.0.0.1:" + std::to_string(*port);
  }

  const std::string& url() const { return url_; }
  std::string hook(const std::string& name) const { return url_ + "/hooks/" + name; }

  /// {"path": ..., "mode": ...}, with simple quotes
  void behave(std::string how) {
    for (auto& c : how) c = c == '\'' ? '"' : c;
    REQUIRE(post(client_, {url_ + "/_sim/behaviour", {}, how}).status == 204);
  }
  boost::json::value counts(const std::string& path) {
    return boost::json::parse(get("/_sim/counts")).at("paths").at(path);
  }
  boost::json::array messages(const std::string& path) {
    return boost::json::parse(get("/_sim/messages?path=" + path)).at("messages").as_array();
  }

 private:
  static vendor_sim::Options options(std::string secret) {
    vendor_sim::Options options;
    options.port = 0;
    options.secret = std::move(secret);
    options.key = kApiKey;
    return options;
  }
  std::string get(const std::string& path);

  vendor_sim::Server server_;
  std::string url_;
  HttpClient client_{{here(), 4, ""}};
};

}  // namespace cx::channels::test
