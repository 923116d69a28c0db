#include "gateways/http/response.hpp"

#include <charconv>

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

int status_of(const RawReply& reply) {
  switch (reply.kind) {
    case RawReply::Kind::document:
      return 200;
    case RawReply::Kind::empty:
      return 204;
    case RawReply::Kind::error:
      break;
  }
  return http_status(reply.error.code);
}

}  // namespace

int append_response(std::string& out, const RawReply& reply, const ResponseHead& head) {
  const int status = head.status != 0 ? head.status : status_of(reply);
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::size_t>(status));
  out += ' ';
  out += reason_phrase(status);
  out += "\r\n";
  append_field(out, "Date", head.date);
  for (const auto& [name, value] : reply.metadata) append_field(out, name, value);
  if (!head.allow.empty()) append_field(out, "Allow", head.allow);
  if (head.close) out += "Connection: close\r\n";
  if (head.keep_alive) out += "Connection: keep-alive\r\n";

  std::string problem;
  const std::string* body = &reply.body;
  std::string_view content_type = head.content_type;
  if (reply.kind == RawReply::Kind::empty) {
    out += "\r\n";
    return status;
  }
  if (reply.kind == RawReply::Kind::error) {
    if (reply.error.code == Code::overloaded) out += "Retry-After: 1\r\n";
    problem = problem_json(status, reply.error);
    body = &problem;
    content_type = "application/problem+json";
  }
  append_field(out, "Content-Type", content_type);
  out += "Content-Length: ";
  append_number(out, body->size());
  out += "\r\n\r\n";
  if (!head.without_body) out += *body;
  return status;
}

}  // namespace cx::http
