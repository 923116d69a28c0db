#include "gateways/http/response.hpp"

#include <charconv>

#include "gateways/http/cors.hpp"
#include "gateways/http/fields.hpp"
#include "gateways/metadata.hpp"
#include "gateways/problem.hpp"

namespace cx::http {
namespace {

void append_number(std::string& out, std::size_t number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  const auto start = out.size();
  out += value;
  for (auto i = start; i < out.size(); ++i)  // an agent may echo what a stranger sent: no line breaks
    if (static_cast<unsigned char>(out[i]) < 0x20 || out[i] == 0x7f) out[i] = ' ';
  out += "\r\n";
}

int status_of(const Exchange& exchange) {
  const auto& reply = exchange.reply;
  if (exchange.status != 0) return exchange.status;
  if (reply.kind == RawReply::Kind::empty) return 204;
  if (reply.kind == RawReply::Kind::error)
    return reply.error.type == "body-too-large" ? 413 : http_status(reply.error.code);
  return names_etag(exchange.if_none_match, metadata_of(reply, "etag")) ? 304 : 200;
}

std::uint32_t retry_after(const Exchange& exchange) {
  if (exchange.reply.kind != RawReply::Kind::error) return 0;
  if (exchange.retry_seconds > 0) return exchange.retry_seconds;
  const auto code = exchange.reply.error.code;
  return code == Code::overloaded || code == Code::rate_limited ? 1 : 0;
}

/// What depends on who asked.
void append_caller_fields(std::string& out, const Exchange& exchange, const Frame& frame, int status) {
  if (!exchange.request_id.empty()) append_field(out, "X-Request-Id", exchange.request_id);
  if (exchange.quota.limit > 0) {
    append_field(out, "RateLimit-Policy", rate_limit_policy(exchange.quota));
    append_field(out, "RateLimit", rate_limit(exchange.quota));
  }
  if (const auto seconds = retry_after(exchange); seconds > 0) {
    out += "Retry-After: ";
    append_number(out, seconds);
    out += "\r\n";
  }
  if (status == 401) {
    out += "WWW-Authenticate: Bearer realm=\"campaign-express\"";
    if (exchange.challenge == Exchange::Challenge::valid_credential) out += ", error=\"invalid_token\"";
    out += "\r\n";
  }
  if (exchange.no_store) out += "Cache-Control: no-store\r\n";
  if (frame.vary_origin && exchange.allow_origin != "*") out += "Vary: Origin\r\n";
  if (exchange.allow_origin.empty()) return;
  append_field(out, "Access-Control-Allow-Origin", exchange.allow_origin);
  if (!exchange.preflight) append_field(out, "Access-Control-Expose-Headers", kExposeHeaders);
}

}  // namespace

int append_response(std::string& out, const Exchange& exchange, const Frame& frame) {
  const auto& reply = exchange.reply;
  const int status = status_of(exchange);
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::size_t>(status));
  out += ' ';
  out += reason_phrase(status);
  out += "\r\n";
  append_field(out, "Date", frame.date);
  std::string_view content_type = exchange.content_type;
  for (const auto& [name, value] : reply.metadata) {
    if (name == "content-type")
      content_type = value;
    else
      append_field(out, name, value);
  }
  append_caller_fields(out, exchange, frame, status);
  if (!exchange.allow.empty()) append_field(out, "Allow", exchange.allow);
  if (exchange.accept_encoding) out += "Accept-Encoding: br, gzip\r\n";
  out += "X-Content-Type-Options: nosniff\r\n";
  if (frame.close) out += "Connection: close\r\n";
  if (exchange.http10 && !frame.close) out += "Connection: keep-alive\r\n";

  if (status == 304 || reply.kind == RawReply::Kind::empty) {
    out += "\r\n";
    return status;
  }
  std::string problem;
  const std::string* body = &reply.body;
  if (reply.kind == RawReply::Kind::error) {
    problem = problem_json(status, reply.error, exchange.request_id);
    body = &problem;
    content_type = "application/problem+json";
  }
  append_field(out, "Content-Type", content_type);
  out += "Content-Length: ";
  append_number(out, body->size());
  out += "\r\n\r\n";
  if (!exchange.head) out += *body;
  return status;
}

}  // namespace cx::http
