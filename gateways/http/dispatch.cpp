#include "gateways/http/dispatch.hpp"

#include <boost/beast/core/string.hpp>
#include <fmt/format.h>

namespace cx::http {
namespace {

using boost::beast::iequals;

std::string_view media_type(std::string_view field) {
  field = field.substr(0, field.find(';'));
  while (!field.empty() && (field.back() == ' ' || field.back() == '\t')) field.remove_suffix(1);
  return field;
}

std::string_view allowed(const Resource& resource) {
  if (!resource.get) return "POST";
  return resource.post ? "GET, HEAD, POST" : "GET, HEAD";
}

}  // namespace

void dispatch(const Router& router, Request& request, Exchange& exchange, std::shared_ptr<ReplySink> sink) {
  exchange.head = request.method == Request::Method::head;
  exchange.http10 = request.http10;
  const auto [path, query] = split_target(request.target);
  const auto* resource = router.find(path);
  if (resource == nullptr)
    return exchange.refuse(
        404, "unknown-path",
        fmt::format("There is nothing at {}; this gateway serves {}.", path.substr(0, 100), router.known()));
  const auto& route = request.method == Request::Method::post ? resource->post : resource->get;
  if (!route || request.method == Request::Method::other) {
    exchange.allow = allowed(*resource);
    return exchange.refuse(405, "method-not-allowed",
                           fmt::format("{} answers {} only.", path, exchange.allow));
  }
  exchange.probe = route->probe;
  if (route->takes_body) {
    const auto type = media_type(request.content_type);
    if (!type.empty() && !iequals(type, route->content_type))
      return exchange.refuse(415, "unsupported-media-type",
                             "Send the body with Content-Type: " + route->content_type + ".");
    if (request.encoded)
      return exchange.refuse(415, "unsupported-content-encoding",
                             "Send the body as it is, without Content-Encoding.");
  }
  exchange.content_type = route->content_type;

  ReplyTo reply(std::move(sink));
  if (route->raw == nullptr) return route->answer(query, request.body, std::move(reply));
  RawRequest raw{std::move(request.body), exchange.received, std::move(reply)};
  if (route->raw->post(raw)) return;
  request.body = std::move(raw.body);
  raw.reply(RawReply::failure({Code::overloaded, "overloaded",
                               "As many requests are under way as this node takes; retry in a second.", ""}));
}

}  // namespace cx::http
