#pragma once

#include <optional>
#include <string>
#include <utility>

#include "actors/bidding/openrtb/parser.hpp"

namespace cx::openrtb {

/// A parsed body and everything that its request needs to live.
struct Parsed {
  explicit Parsed(std::string body) : error(Parser().parse(body, document, request)) {}

  Document document;
  Request request;
  std::optional<Error> error;
};

/// A valid request but for `members`, a piece of JSON: of its only impression, or at the top level.
inline std::string with_imp(const std::string& members) {
  return R"({"id":"r","imp":[{"id":"1",)" + members + "}]}";
}
inline std::string with_top(const std::string& members) {
  return R"({"id":"r","imp":[{"id":"1","banner":{}}],)" + members + "}";
}
inline std::string with_video(const std::string& members) {
  return with_imp(R"("video":{"mimes":["video/mp4"],)" + members + "}");
}

}  // namespace cx::openrtb
