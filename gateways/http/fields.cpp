#include "gateways/http/fields.hpp"

namespace cx::http {
namespace {

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

}  // namespace cx::http
