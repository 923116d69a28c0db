#include "actors/bidding/openrtb/json.hpp"

#include <algorithm>

#include "actors/bidding/openrtb/parser.hpp"

namespace cx::openrtb {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

/// The position behind the string literal whose opening quote is at `at`.
std::size_t skip_string(std::string_view json, std::size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\') ++at;
  }
  return std::min(at + 1, json.size());
}

/// simdjson has one code for everything wrong between the tokens; this tells the frequent cases apart.
std::string explain_structure(std::string_view body) {
  int depth = 0;
  for (std::size_t at = 0; at < body.size();) {
    const char c = body[at];
    if (c == '"') {
      at = skip_string(body, at);
      continue;
    }
    ++at;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth <= 0) {
      if (depth < 0 || body.find_first_not_of(kSpace, at) == body.npos) break;
      return "The JSON document ends at byte " + std::to_string(at) +
             ", but more data follows; send one JSON object and nothing else.";
    }
  }
  if (depth > 0) return "The body ends before its last bracket is closed; was it truncated? Send all of it.";
  return "The body is not JSON: a bracket, comma, colon or quote is missing or misplaced; correct it.";
}

/// RFC 8259, section 6.
bool is_number(std::string_view token) {
  std::size_t at = token.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const std::size_t begin = at;
    while (at < token.size() && token[at] >= '0' && token[at] <= '9') ++at;
    return at - begin;
  };
  const auto accept = [&](std::string_view any) {
    const bool found = at < token.size() && any.find(token[at]) != any.npos;
    at += found ? 1 : 0;
    return found;
  };
  if (!accept("0") && digits() == 0) return false;
  if (accept(".") && digits() == 0) return false;
  if (accept("eE")) {
    accept("+-");
    if (digits() == 0) return false;
  }
  return at == token.size();
}

}  // namespace

Error explain(simdjson::error_code code, std::string_view body) {
  const auto invalid = [](std::string detail) {
    return Error{Code::invalid_argument, "invalid-bid-request", std::move(detail), ""};
  };
  switch (code) {
    case simdjson::MEMALLOC:
      return {Code::overloaded, "out-of-memory",
              "There was no memory left for the request; send it again later.", ""};
    case simdjson::CAPACITY:
      return invalid("The body is too large to be parsed; send a smaller bid request.");
    case simdjson::EMPTY:
      return invalid("The body is empty; send a bid request as a JSON object.");
    case simdjson::UTF8_ERROR:
      return invalid("The body is not valid UTF-8; encode it as UTF-8.");
    case simdjson::DEPTH_ERROR:
      return invalid("The body nests objects and arrays more than " + std::to_string(Parser::kMaxDepth) +
                     " deep; flatten it.");
    case simdjson::UNCLOSED_STRING:
      return invalid("The body ends inside a string; was it truncated? Send all of it.");
    case simdjson::UNESCAPED_CHARS:
      return invalid(
          "The body is not JSON: a string holds a raw control character; escape it, like \\n or \\u0001.");
    case simdjson::STRING_ERROR:
      return invalid("The body is not JSON: a string holds an invalid escape sequence; correct it.");
    case simdjson::NUMBER_ERROR:
      return invalid("The body is not JSON: a number is malformed; write it like 0, -1.5 or 1e3.");
    case simdjson::T_ATOM_ERROR:
    case simdjson::F_ATOM_ERROR:
    case simdjson::N_ATOM_ERROR:
      return invalid("The body is not JSON: there is a bare word other than true, false and null; quote it.");
    default:
      return invalid(explain_structure(body));
  }
}

void tame_numbers(std::string& json, simdjson::dom::parser& parser) {
  constexpr std::size_t kShortestRefused = 5;  // 1e309
  for (std::size_t at = 0; at < json.size();) {
    if (json[at] == '"') {
      at = skip_string(json, at);
      continue;
    }
    const std::size_t end = std::min(json.find_first_not_of("+-.0123456789eE", at), json.size());
    std::string_view token(json.data() + at, end - at);
    if (is_number(token)) {
      char* digits = json.data() + at + (token.front() == '-' ? 1 : 0);
      char* last = json.data() + end;
      if (static_cast<std::size_t>(last - digits) >= kShortestRefused &&
          parser.parse(token.data(), token.size(), false).error() == simdjson::NUMBER_ERROR) {
        std::fill(digits, last, '0');
        digits[0] = '1';
        digits[1] = 'e';
        last[-2] = last[-1] = '9';
      }
    }
    at = std::max(end, at + 1);
  }
}

}  // namespace cx::openrtb
