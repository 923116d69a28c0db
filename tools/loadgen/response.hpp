#pragma once

#include <cstddef>
#include <string_view>

namespace cx::loadgen {

/// Finds the end of one HTTP/1.1 response (RFC 9112) in bytes that arrive in pieces. Understands what a JSON
/// API sends: a status from 200 and a Content-Length, or a status without a body. Anything else is malformed.
class ResponseScanner {
 public:
  enum class State { more, complete, malformed };

  /// `received`: all bytes since the response began; a longer view of the same bytes at each call until it is
  /// no longer `more`. Bytes behind the end are malformed: we never pipeline.
  State scan(std::string_view received);
  /// Forget this response and await the next.
  void reset() { *this = {}; }

  // Valid once complete.
  int status() const { return status_; }
  bool keep_alive() const { return keep_alive_; }
  std::string_view body(std::string_view received) const { return received.substr(head_); }

 private:
  bool read_head(std::string_view head);

  std::size_t searched_ = 0;  // the head does not end before here
  std::size_t head_ = 0;      // its size; 0 while it is incomplete
  std::size_t body_ = 0;
  int status_ = 0;
  bool keep_alive_ = true;
};

/// How many bids an OpenRTB bid response carries. Every bid has the required key "impid" (OpenRTB 2.6, 4.2.3)
/// and inside a JSON string those quotes would be escaped, so that counting the key counts the bids.
std::size_t count_bids(std::string_view body);

}  // namespace cx::loadgen
