#include "gateways/http/dispatch.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "gateways/http/fields.hpp"
#include "gateways/http/message.hpp"
#include "gateways/json/member.hpp"
#include "gateways/metadata.hpp"

namespace cx::http {
namespace {

void refuse_unknown(const Router& router, std::string_view path, Exchange& exchange) {
  std::string meant;
  for (const auto& pattern : router.near(path))
    (meant += meant.empty() ? "Did you mean " : " or ") += pattern;
  if (!meant.empty()) meant += "? ";
  exchange.refuse(404, "unknown-path",
                  fmt::format("There is nothing at {}. {}What there is stands in /openapi.json and at /docs.",
                              path.substr(0, 100), meant));
}

/// OPTIONS: tells what there is, and a browser whether a page of another origin may use it.
void answer_options(const Request& request, const Resource& resource, Exchange& exchange) {
  auto reply = RawReply::empty();
  exchange.allow = resource.allow;
  if (!exchange.allow_origin.empty() && !request.field(Field::preflight_method).empty()) {
    exchange.preflight = true;
    reply.metadata.emplace_back("access-control-allow-methods", resource.allow);
    reply.metadata.emplace_back("access-control-allow-headers", kAllowHeaders);
    reply.metadata.emplace_back("access-control-max-age", kPreflightSeconds);
  }
  exchange.answer(std::move(reply));
}

/// The caller, or null if the exchange is answered with why not.
CallerPtr admit(const Door& door, const Method& method, Request& request, std::string_view certificate,
                Exchange& exchange) {
  Credential credential{request.field(Field::authorization), request.field(Field::api_key), certificate};
  std::optional<std::string> key;
  if (credential.empty() && !method.body_credential.empty() &&
      (key = json::text_member(request.body, method.body_credential)))
    credential.api_key = *key;
  auto admission = door.admit(method, credential);
  if (!admission) {
    exchange.challenge =
        credential.empty() ? Exchange::Challenge::credential : Exchange::Challenge::valid_credential;
    exchange.refuse(admission.error());
    return nullptr;
  }
  exchange.quota = admission->quota;
  if (!admission->limited) return std::move(admission->caller);
  exchange.retry_seconds = std::max(admission->quota.retry_seconds, 1U);
  exchange.refuse(Door::rate_limited(admission->quota));
  return nullptr;
}

/// Whether the body is of the type and coding that the method takes; decompresses it. Otherwise the exchange
/// is answered.
bool take_body(const Method& method, std::size_t limit, Request& request, Exchange& exchange) {
  if (method.body.empty()) return true;
  const auto& field = request.field(Field::content_type);
  const auto type = trimmed(std::string_view(field).substr(0, field.find(';')));
  const bool from_page = !method.body_credential.empty() && same(type, "text/plain");
  if (!type.empty() && !same(type, method.content_type) && !from_page) {
    exchange.refuse(415, "unsupported-media-type",
                    "Send the body with Content-Type: " + method.content_type + ".");
    return false;
  }
  const auto coding = encoding_of(request.field(Field::content_encoding));
  if (coding == Encoding::identity) return true;
  if (!coding || method.is_raw) {
    exchange.accept_encoding = !method.is_raw;
    exchange.refuse(415, "unsupported-content-encoding",
                    method.is_raw ? "Send the body as it is, without Content-Encoding."
                                  : "Send the body in gzip, in br, or as it is, without Content-Encoding.");
    return false;
  }
  auto body = decompress(request.body, *coding, limit);
  if (!body) {
    exchange.refuse(body.error());
    return false;
  }
  request.body = std::move(*body);
  return true;
}

void call_raw(const Method& method, CallerPtr caller, Request& request, Exchange& exchange, ReplyTo reply) {
  exchange.worth_encoding = kWorthEncodingRaw;
  if (!request.field(Field::idempotency_key).empty())
    return reply(
        RawReply::failure({Code::invalid_argument, "idempotency-key-unsupported",
                           method.name + " takes no idempotency key; send the request without one.", ""}));
  if (method.raw == nullptr) return reply(RawReply::failure(Door::not_served(method)));
  RawRequest raw{std::move(request.body), exchange.received, std::move(reply), std::move(caller)};
  if (method.raw->post(raw)) return;
  request.body = std::move(raw.body);
  raw.reply(RawReply::failure({Code::overloaded, "overloaded",
                               "As many requests are under way as this node takes; retry in a second.", ""}));
}

Result<CallContext> context_of(const Door& door, const Method& method, CallerPtr caller,
                               const Request& request, const Exchange& exchange) {
  CallContext context;
  context.caller = std::move(caller);
  context.request_id = exchange.request_id;
  context.trace = trace_id(request.field(Field::traceparent), door.environment());
  auto key = idempotency_key(method, request.field(Field::idempotency_key));
  if (!key) return key.error();
  context.idempotency_key = std::move(*key);
  if (const auto& field = request.field(Field::timeout); !field.empty()) {
    const auto timeout = timeout_of(field);
    if (!timeout) return timeout.error();
    context.deadline = door.environment().clock().unix_ms() + *timeout;
  }
  return context;
}

void call(const Door& door, const Route& route, const Values& values, std::string_view query,
          CallerPtr caller, const Request& request, const Exchange& exchange, const ReplyTo& reply) {
  const auto& method = *route.method;
  auto context = context_of(door, method, std::move(caller), request, exchange);
  if (!context) return reply(RawReply::failure(context.error()));
  auto message = read_request(route, values, query, request);
  if (!message) return reply(RawReply::failure(message.error()));
  const auto failed = [reply, name = method.name](const std::exception& e) {
    spdlog::error("{} failed: {}", name, e.what());
    reply(RawReply::failure({Code::internal, "internal", name + " failed; the node's log says why.", ""}));
  };
  door.call(method, std::move(*context), std::move(*message),
            Services::Respond([reply, failed, &method](const Services::Reply& result) {
              try {
                reply(write_reply(method, result));
              } catch (const std::exception& e) {
                failed(e);
              }
            }));
}

}  // namespace

void dispatch(const Site& site, Request& request, std::string_view certificate, Exchange& exchange,
              std::shared_ptr<ReplySink> sink) {
  exchange.head = request.verb == Verb::head;
  exchange.http10 = request.http10;
  exchange.request_id = request_id(request.field(Field::request_id), site.door.environment());
  exchange.allow_origin = site.origins.allow(request.field(Field::origin));
  if (const auto& accepted = request.field(Field::accept_encoding); !accepted.empty())
    exchange.accepts = preferred(accepted);

  const auto [path, query] = split_target(request.target);
  Values values;
  const auto* resource = site.router.find(path, values);
  if (resource == nullptr) return refuse_unknown(site.router, path, exchange);
  const auto* route = resource->at(request.verb);
  if (route == nullptr) {
    if (request.verb == Verb::options) return answer_options(request, *resource, exchange);
    exchange.allow = resource->allow;
    return exchange.refuse(405, "method-not-allowed",
                           fmt::format("{} answers {} only.", path.substr(0, 100), exchange.allow));
  }
  if (route->method != nullptr && !route->method->body_credential.empty() && exchange.allow_origin.empty() &&
      !request.field(Field::origin).empty())
    exchange.allow_origin = "*";  // what a page proves itself by is its own, wherever it is from
  exchange.probe = route->probe;
  exchange.content_type = route->content_type;
  if (request.verb == Verb::get || exchange.head)
    exchange.if_none_match = request.field(Field::if_none_match);

  if (route->method == nullptr) return sink->deliver(route->page(exchange.accepts));
  const auto& method = *route->method;
  exchange.no_store = !method.is_raw;  // a public one, too: it may answer with a token
  try {
    auto caller = admit(site.door, method, request, certificate, exchange);
    if (caller == nullptr || !take_body(method, site.config.max_body(), request, exchange)) return;
    ReplyTo reply(std::move(sink));
    if (method.is_raw) return call_raw(method, std::move(caller), request, exchange, std::move(reply));
    call(site.door, *route, values, query, std::move(caller), request, exchange, reply);
  } catch (const std::exception& e) {
    spdlog::error("{} failed: {}", method.name, e.what());
    // A ReplyTo that went away has answered.
    if (!exchange.answered)
      exchange.refuse({Code::internal, "internal", method.name + " failed; the node's log says why.", ""});
  }
}

}  // namespace cx::http
