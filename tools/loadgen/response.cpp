#include "tools/loadgen/response.hpp"

#include <algorithm>
#include <charconv>

namespace cx::loadgen {
namespace {

constexpr std::size_t kMaxHead = 16 * 1024;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool same(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return lower(a) == b; });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

ResponseScanner::State ResponseScanner::scan(std::string_view received) {
  if (head_ == 0) {
    const std::size_t end = received.find("\r\n\r\n", searched_);
    if (end == std::string_view::npos) {
      searched_ = received.size() < 3 ? 0 : received.size() - 3;
      return received.size() > kMaxHead ? State::malformed : State::more;
    }
    head_ = end + 4;
    if (!read_head(received.substr(0, end + 2))) return State::malformed;
  }
  if (received.size() < head_ + body_) return State::more;
  return received.size() == head_ + body_ ? State::complete : State::malformed;
}

// `head`: the status line and header fields, each with its CRLF.
bool ResponseScanner::read_head(std::string_view head) {
  constexpr std::string_view version = "HTTP/1.1 ";
  if (!head.starts_with(version) || !read_number(head.substr(version.size(), 3), status_)) return false;
  bool has_length = false;
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    const std::size_t end = head.find("\r\n", at);
    const std::string_view line = head.substr(at, end - at);
    at = end + 2;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    const std::string_view name = line.substr(0, colon);
    if (same(name, "content-length")) {
      has_length = true;
      if (!read_number(trim(line.substr(colon + 1)), body_)) return false;
    } else if (same(name, "connection")) {
      keep_alive_ = !same(trim(line.substr(colon + 1)), "close");
    } else if (same(name, "transfer-encoding")) {
      return false;
    }
  }
  if (status_ == 204) body_ = 0;
  return status_ >= 200 && status_ < 600 && (has_length || status_ == 204);
}

std::size_t count_bids(std::string_view body) {
  constexpr std::string_view key = "\"impid\"";
  std::size_t bids = 0;
  for (std::size_t at = body.find(key); at != std::string_view::npos; at = body.find(key, at)) {
    at = body.find_first_not_of(" \t\r\n", at + key.size());
    if (at == std::string_view::npos) break;
    bids += body[at] == ':';
  }
  return bids;
}

}  // namespace cx::loadgen
