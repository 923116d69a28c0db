#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"
#include "tools/loadgen/target.hpp"

namespace cx::loadgen {

/// A whole HTTP request, ready to send but for two ids of fixed width that are written over in place.
class Template {
 public:
  static constexpr std::size_t kRequestIdDigits = 16;  ///< hexadecimal
  static constexpr std::size_t kUserIdDigits = 9;      ///< decimal, after "u"

  /// In path and body, sixteen '#' in a row stand for the request's id and nine for the digits of the user's;
  /// what has neither is sent as it is.
  Template(const Target& target, std::string_view body);

  /// The request, valid until the next call. A template ignores the ids that it has no room for. `user` <
  /// 10^9.
  std::string_view fill(std::uint64_t request_id, std::uint32_t user);
  /// The JSON document alone, as last filled.
  std::string_view body() const { return std::string_view(bytes_).substr(body_); }
  /// The digits of the request id, as last filled; empty without ids.
  std::string_view request_id() const;

 private:
  std::string bytes_;
  std::size_t body_;
  std::size_t request_id_ = 0, user_id_ = 0;  // 0: none
};

/// `count` distinct OpenRTB 2.6 bid requests of 700 to 1,500 bytes, as an exchange in front of sites and apps
/// would send them: one to three impressions, banners in the usual sizes and videos. The same seed gives the
/// same requests. `tmax`: milliseconds that they allow for the answer.
std::vector<Template> generate_bid_requests(const Target& target, std::uint32_t count, std::uint32_t tmax,
                                            std::uint64_t seed);

/// Every regular file of a directory as a request body, by name; see Template for their ids.
Result<std::vector<Template>> read_corpus(const Target& target, const std::string& directory);

}  // namespace cx::loadgen
