#include "gateways/problem.hpp"

#include <array>
#include <stdexcept>

#include "runtime/json.hpp"

namespace cx {

extern const std::string_view problems_markdown;  // the embedded catalogue

namespace {

/// "| `type` | status | meaning | remedy |"
Problem read_row(std::string_view row) {
  std::array<std::string_view, 4> cells;
  for (auto& cell : cells) {
    row.remove_prefix(1);
    const auto bar = row.find('|');
    if (bar == row.npos) throw std::logic_error("a row of PROBLEMS.md lacks a cell");
    cell = row.substr(0, bar);
    row.remove_prefix(bar);
    while (!cell.empty() && (cell.front() == ' ' || cell.front() == '`')) cell.remove_prefix(1);
    while (!cell.empty() && (cell.back() == ' ' || cell.back() == '`')) cell.remove_suffix(1);
  }
  return {cells[0], cells[1], cells[2], cells[3]};
}

}  // namespace

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
    case Code::unauthenticated:
      return 401;
    case Code::permission_denied:
      return 403;
    case Code::rate_limited:
      return 429;
    case Code::precondition_failed:
      return 412;
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
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
  }
  return "Internal Server Error";
}

std::string problem_json(int status, const Error& error, std::string_view instance) {
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
  if (!instance.empty()) {
    out += ",\"instance\":";
    append_json(out, instance);
  }
  out += '}';
  return out;
}

std::string_view problem_catalogue() noexcept {
  return problems_markdown;
}

const std::vector<Problem>& problems() {
  static const auto all = [] {
    std::vector<Problem> rows;
    for (auto rest = problems_markdown; !rest.empty();) {
      const auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      if (line.substr(0, 3) == "| `") rows.push_back(read_row(line));
    }
    return rows;
  }();
  return all;
}

}  // namespace cx
