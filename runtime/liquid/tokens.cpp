#include "runtime/liquid/tokens.hpp"

#include <algorithm>

#include "runtime/liquid/text.hpp"

namespace cx::liquid {
namespace {

constexpr auto npos = std::string_view::npos;

std::string_view skip_space(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return text;
}

// The name that a tag begins with: '#' or a word; empty if neither.
std::string_view tag_name(std::string_view text) {
  if (text.starts_with('#')) return text.substr(0, 1);
  std::size_t n = 0;
  while (n < text.size() && is_word(text[n])) ++n;
  return text.substr(0, n);
}

// Sets name and markup from what is between the braces.
void read_tag(Token& token, std::string_view inside) {
  inside = skip_space(inside);
  token.name = tag_name(inside);
  token.markup = skip_space(inside.substr(token.name.size()));
  if (token.name.empty()) token.kind = Token::Kind::malformed;
}

}  // namespace

Token Tokens::take(Token::Kind kind, std::size_t size) {
  Token token;
  token.kind = kind;
  token.raw = rest_.substr(0, size);
  rest_.remove_prefix(token.raw.size());
  return token;
}

Token Tokens::next() {
  if (lines()) return line();
  if (rest_.empty()) return {};
  if (rest_.starts_with("{{")) return output();
  if (rest_.starts_with("{%")) {
    const auto end = rest_.find("%}", 2);
    return end == npos ? take(Token::Kind::unclosed, npos) : tag(end + 2);
  }
  // Text up to the next brace that opens something.
  std::size_t end = 0;
  do {
    end = rest_.find('{', end + 1);
  } while (end != npos && end + 1 < rest_.size() && rest_[end + 1] != '{' && rest_[end + 1] != '%');
  if (end != npos && end + 1 == rest_.size()) end = npos;
  return take(Token::Kind::text, end);
}

Token Tokens::line() {
  while (!rest_.empty()) {
    const auto end = std::min(rest_.find('\n'), rest_.size());
    auto token = take(Token::Kind::tag, end);
    if (!rest_.empty()) rest_.remove_prefix(1);
    if (skip_space(token.raw).empty()) continue;
    read_tag(token, token.raw);
    return token;
  }
  return {};
}

Token Tokens::tag(std::size_t size) {
  auto token = take(Token::Kind::tag, size);
  const auto raw = token.raw;
  token.trims_before = raw[2] == '-';
  token.trims_after = raw[raw.size() - 3] == '-';
  auto inside = raw.substr(2, raw.size() - 4);
  if (inside.starts_with('-')) inside.remove_prefix(1);
  if (inside.ends_with('-')) inside.remove_suffix(1);
  read_tag(token, inside);
  return token;
}

// Ends at the first '}', as a '}' in a string does in the reference implementation, too; a tag that begins
// inside ends it as well.
Token Tokens::output() {
  std::size_t at = 2;
  while (true) {
    at = rest_.find_first_of("{}", at);
    if (at == npos || at + 1 == rest_.size()) return take(Token::Kind::unclosed, npos);
    if (rest_[at] == '}') break;
    if (rest_[at + 1] == '%') {
      const auto end = rest_.find("%}", at + 2);
      return take(Token::Kind::unclosed, end == npos ? npos : end + 2);
    }
    ++at;
  }
  if (rest_[at + 1] != '}') return take(Token::Kind::unclosed, at + 1);
  auto token = take(Token::Kind::output, at + 2);
  auto inside = token.raw.substr(2, token.raw.size() - 4);
  token.trims_before = inside.starts_with('-');
  token.trims_after = inside.ends_with('-');
  if (token.trims_before) inside.remove_prefix(1);
  if (inside.ends_with('-')) inside.remove_suffix(1);
  token.markup = inside;
  return token;
}

std::optional<Tokens::Skipped> Tokens::skip_to(std::string_view end, std::string_view begin) {
  if (lines()) return std::nullopt;
  Skipped skipped;
  for (auto at = rest_.find("{%"); at != npos; at = rest_.find("{%", at + 2)) {
    auto inside = rest_.substr(at + 2);
    if (inside.starts_with('-')) inside.remove_prefix(1);
    inside = skip_space(inside);
    const auto name = tag_name(inside);
    if (name == begin) skipped.nested = true;
    if (name != end) continue;
    const auto close = inside.find("%}", name.size());
    if (close == npos) return std::nullopt;
    skipped.inside = rest_.substr(0, at);
    skipped.trims_after = inside[close - 1] == '-';
    rest_ = inside.substr(close + 2);
    return skipped;
  }
  return std::nullopt;
}

}  // namespace cx::liquid
