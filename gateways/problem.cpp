#include "gateways/problem.hpp"

#include "runtime/json.hpp"

namespace cx {

int http_status(Code code) noexcept {
  switch (code) {
    case Code::invalid_argument:
      return 400;
    case Code::not_found:
      return 404;
    case Code::conflict:
      return 409;
    case Code::overloaded:
      return 503;
    case Code::deadline_exceeded:
      return 504;
    case Code::unavailable:
      return 503;
    case Code::internal:
      break;
  }
  return 500;
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
  }
  return "Internal Server Error";
}

std::string problem_json(int status, const Error& error) {
  std::string out = "{\"type\":";
  append_json(out, "/problems/" + error.type);
  out += ",\"title\":";
  append_json(out, reason_phrase(status));
  out += ",\"status\":" + std::to_string(status) + ",\"detail\":";
  append_json(out, error.detail);
  if (!error.pointer.empty()) {
    out += ",\"pointer\":";
    append_json(out, error.pointer);
  }
  out += '}';
  return out;
}

}  // namespace cx
