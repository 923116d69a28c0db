#pragma once

// Internal to this folder: includes Beast.

#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>

#include "gateways/http/exchange.hpp"

namespace cx::http {

/// Longest request line and header fields together, in bytes.
inline constexpr std::uint32_t kHeaderLimit = 16 * 1024;

/// Beast's HTTP/1 parser (RFC 9112) storing straight into a Request, without a container of header fields.
/// Stricter than Beast where a proxy in front could disagree about where a request ends: the only transfer
/// coding is "chunked", and never in HTTP/1.0; HTTP/1.1 names its host exactly once.
class RequestParser final : public boost::beast::http::basic_parser<true> {
 public:
  using error_code = boost::beast::error_code;
  using field = boost::beast::http::field;
  using string_view = boost::beast::string_view;

  RequestParser(Request& request, std::uint64_t body_limit);

 private:
  void on_request_impl(boost::beast::http::verb, string_view, string_view target, int version,
                       error_code&) override;
  void on_field_impl(field name, string_view, string_view value, error_code&) override;
  void on_header_impl(error_code&) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override;
  std::size_t on_body_impl(string_view body, error_code&) override;
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override;
  void on_finish_impl(error_code&) override;
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  void on_response_impl(int, string_view, int, error_code&) override {}

  Request& request_;
  std::size_t header_bytes_ = 0;
  int hosts_ = 0;
};

}  // namespace cx::http
