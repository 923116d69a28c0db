#include "gateways/http/fields.hpp"

#include <charconv>

namespace cx::http {
namespace {

constexpr std::uint32_t kMaxTimeout = 3'600'000;

std::string_view opaque(std::string_view etag) {
  return etag.substr(0, 2) == "W/" ? etag.substr(2) : etag;
}

}  // namespace

bool names_etag(std::string_view if_none_match, std::string_view etag) {
  if (if_none_match.empty() || etag.empty()) return false;
  if (if_none_match == "*") return true;
  bool found = false;
  for_each_element(if_none_match, [&](std::string_view one) { found |= opaque(one) == opaque(etag); });
  return found;
}

Result<std::string_view> if_match_of(std::string_view field) {
  if (field == "*") return field;
  const bool quoted = field.size() >= 3 && field.front() == '"' && field.back() == '"';
  const auto tag = quoted ? field.substr(1, field.size() - 2) : std::string_view();
  if (!tag.empty() && tag.find('"') == tag.npos) return tag;
  return Error{Code::invalid_argument, "invalid-if-match",
               "If-Match is not one entity tag in quotes, as the ETag field of an answer has it, or *.", ""};
}

Result<std::uint32_t> timeout_of(std::string_view field) {
  std::uint32_t ms = 0;
  const auto* end = field.data() + field.size();
  const auto [stop, failure] = std::from_chars(field.data(), end, ms);
  if (failure == std::errc() && stop == end && ms > 0 && ms <= kMaxTimeout) return ms;
  return Error{Code::invalid_argument, "invalid-timeout",
               "X-Timeout-Ms is not a number of milliseconds from 1 to 3600000.", ""};
}

}  // namespace cx::http
