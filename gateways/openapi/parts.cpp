#include "gateways/openapi/parts.hpp"

#include <algorithm>

#include "cx/v1/problem.pb.h"
#include "gateways/problem.hpp"

namespace cx::openapi {
namespace {

using boost::json::array;
using boost::json::object;

struct Status {
  int status;
  std::string_view description;
};

constexpr Status kProblems[] = {
    {400, "The request is not what the method takes; `pointer` says where."},
    {401, "There is no credential, or not one that is good."},
    {403, "The caller may not do this."},
    {404, "What the request names is not there."},
    {409, "The request contradicts what is there."},
    {412, "It has changed since the ETag that was sent: read it again."},
    {413, "The body is larger than this node takes."},
    {415, "The body is of a type or coding that the method does not take."},
    {429, "The credential has made as many requests as it may; `Retry-After` says when it may again."},
    {431, "Path, query and header fields are longer than this node takes."},
    {500, "It is our fault. The node's log has more, under the request's id."},
    {503, "The node cannot do it now; retry in a while."},
    {504, "It took longer than the caller, or the node, was ready to wait."},
};

object header(std::string_view description, object schema) {
  return {{"description", description}, {"schema", std::move(schema)}};
}

object parameter(std::string_view name, std::string_view description, object schema) {
  return {{"name", name}, {"in", "header"}, {"description", description}, {"schema", std::move(schema)}};
}

object text(std::size_t most, std::string_view pattern, std::string_view example) {
  return {{"type", "string"}, {"maxLength", most}, {"pattern", pattern}, {"examples", array{example}}};
}

object responses(Schemas& schemas) {
  const auto problem = schemas.message(json::plan_of(*v1::Problem::descriptor()));
  object out;
  for (const auto& [status, description] : kProblems) {
    object headers{{"X-Request-Id", object{{"$ref", "#/components/headers/X-Request-Id"}}}};
    if (status == 401)
      headers["WWW-Authenticate"] = header("How to authenticate (RFC 9110).", {{"type", "string"}});
    if (status == 429)
      headers["Retry-After"] = header("Seconds to wait.", {{"type", "integer"}, {"minimum", 1}});
    object content{{"application/problem+json", object{{"schema", problem}}}};
    out[problem_name(status)] = object{
        {"description", description}, {"headers", std::move(headers)}, {"content", std::move(content)}};
  }
  out["Not-Modified"] = object{{"description", "It is still what `If-None-Match` names."}};
  return out;
}

object parameters() {
  return {
      {"If-Match",
       parameter("If-Match",
                 "The ETag of what is to be changed, or `*`: refused with 412 if it has changed since.",
                 text(200, R"(^([*]|"[^"]*")$)", "\"7\""))},
      {"If-None-Match",
       parameter("If-None-Match", "The ETag that the caller has: 304 if it is still the same.",
                 text(200, R"(^([*]|"[^"]*")$)", "\"7\""))},
      {"Idempotency-Key",
       parameter(
           "Idempotency-Key",
           "Names the request: sent again with the same key, it is carried out once, and answered the same.",
           text(255, "^[!-~]+$", "0198a6b2-7c1e-7d5a-9a55-3a3c8f2f1b11"))},
      {"X-Request-Id",
       parameter("X-Request-Id", "Names the request in logs and in the audit log; made up if absent.",
                 text(128, "^[A-Za-z0-9._-]+$", "checkout-4711"))},
      {"X-Timeout-Ms",
       parameter("X-Timeout-Ms", "How long the caller waits, in milliseconds.",
                 {{"type", "integer"}, {"minimum", 1}, {"maximum", 3600000}, {"examples", array{2000}}})},
  };
}

object headers() {
  return {
      {"ETag", header("Changes whenever what is shown does.", {{"type", "string"}})},
      {"X-Request-Id", header("Names the request, as it was sent or made up.", {{"type", "string"}})},
      {"RateLimit",
       header("What the credential may still ask for, `r`, and for how long, `t` in seconds. Absent "
              "where there is no limit.",
              {{"type", "string"}, {"examples", array{"\"default\";r=50;t=30"}}})},
      {"RateLimit-Policy", header("The credential's limit: `q` requests in `w` seconds.",
                                  {{"type", "string"}, {"examples", array{"\"default\";q=100;w=60"}}})},
  };
}

object security_schemes() {
  return {
      {"bearer", object{{"type", "http"},
                        {"scheme", "bearer"},
                        {"description",
                         "An access token, from signing in or of an issuer that the node trusts, or an "
                         "API key."}}},
      {"basic", object{{"type", "http"},
                       {"scheme", "basic"},
                       {"description", "An API key as the user name, without a password."}}},
      {"apiKey",
       object{{"type", "apiKey"}, {"in", "header"}, {"name", "X-Api-Key"}, {"description", "An API key."}}},
      {"certificate",
       object{{"type", "mutualTLS"}, {"description", "A client certificate that an API key was made for."}}},
  };
}

}  // namespace

std::string_view introduction() {
  return R"(Campaigns, who may do what with them, and the node that runs them.

**Who calls.** Send `Authorization: Bearer` with an access token or an API key, or `X-Api-Key` with an API key. The
credential says whose tenant a request is about. What its caller must be allowed to do stands in `x-permission`.

**JSON.** Fields have the names below; lowerCamelCase is understood, too, and an unknown field is refused. 64-bit integers
are written as strings and read as strings or numbers. Enums are read by name, in any case and with or without the prefix
that all names of the enum share. Times are RFC 3339, in UTC. Amounts of money are millionths of the currency's unit.

**Errors** are problem documents (RFC 9457): `type` names the kind of problem for programs and leads to its explanation,
`detail` says what was wrong and what to do, `pointer` where in the body.

**Lists** come in pages: send the `next_page_token` of a page as `page_token` to get the next one, with the same filters.

**Changes.** A `PATCH` changes what its body mentions, or what `update_mask` names. Send the `ETag` of what you saw as
`If-Match`, and the change is refused if somebody else was faster. With an `Idempotency-Key` a request can be sent again
after a broken connection.

**Limits.** Each call takes the tokens in `x-rate-cost` from its credential's bucket; `RateLimit` tells what is left.
)";
}

std::string problem_name(int status) {
  std::string name(reason_phrase(status));
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

object common_components(Schemas& schemas) {
  auto problems = responses(schemas);
  auto types = schemas.components();
  types["Problem"].as_object()["required"] = array{"type", "title", "status", "detail"};
  return {{"schemas", std::move(types)},
          {"responses", std::move(problems)},
          {"parameters", parameters()},
          {"headers", headers()},
          {"securitySchemes", security_schemes()}};
}

}  // namespace cx::openapi
