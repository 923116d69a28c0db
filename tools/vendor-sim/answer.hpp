#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>

namespace cx::vendor_sim {

using Request = boost::beast::http::request<boost::beast::http::string_body>;

/// A request as it is answered.
struct Answer {
  /// `cut`: the connection ends in the middle of the body. `slow`: the head at once, the body byte by byte.
  enum class Way { plain, hang, reset, slow, cut };
  Way way = Way::plain;
  std::chrono::microseconds delay{0};  ///< before the answer; of slow, how long its body takes
  boost::beast::http::response<boost::beast::http::string_body> response;
};

}  // namespace cx::vendor_sim
