#include "gateways/http/request_parser.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include "runtime/raw.hpp"

namespace cx::http {

namespace beast = boost::beast;
using beast::http::error;
using beast::http::verb;

RequestParser::RequestParser(Request& request, std::uint64_t body_limit) : request_(request) {
  this->header_limit(kHeaderLimit);
  this->body_limit(body_limit);
  this->eager(true);
  request_.content_type.clear();
  request_.body.clear();
  request_.encoded = request_.expect_continue = false;
}

void RequestParser::on_request_impl(verb method, string_view, string_view target, int version, error_code&) {
  header_bytes_ = target.size();
  request_.method = method == verb::get    ? Request::Method::get
                    : method == verb::head ? Request::Method::head
                    : method == verb::post ? Request::Method::post
                                           : Request::Method::other;
  request_.target.assign(target.data(), target.size());
  request_.http10 = version == 10;
}

void RequestParser::on_field_impl(field name, string_view text, string_view value, error_code& ec) {
  // Beast limits what it holds at once, which a header that arrives line by line never reaches.
  header_bytes_ += text.size() + value.size() + 4;
  if (header_bytes_ > kHeaderLimit) ec = error::header_limit;
  if (is_header_done()) return;  // a trailer
  switch (name) {
    case field::host:
      ++hosts_;
      break;
    case field::content_type:
      request_.content_type.assign(value.data(), value.size());
      break;
    case field::content_encoding:
      request_.encoded = !beast::iequals(value, "identity");
      break;
    case field::expect:
      request_.expect_continue = !request_.http10 && beast::iequals(value, "100-continue");
      break;
    case field::transfer_encoding:
      if (request_.http10 || !beast::iequals(value, "chunked")) ec = error::bad_transfer_encoding;
      break;
    default:
      break;
  }
}

void RequestParser::on_header_impl(error_code& ec) {
  if (hosts_ > 1 || (hosts_ == 0 && !request_.http10)) ec = error::bad_field;
}

void RequestParser::on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) {
  if (length) request_.body.reserve(static_cast<std::size_t>(*length) + kRawPadding);
}

std::size_t RequestParser::on_body_impl(string_view body, error_code&) {
  request_.body.append(body.data(), body.size());
  return body.size();
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) {
  return on_body_impl(body, ec);
}

void RequestParser::on_finish_impl(error_code&) {
  request_.body.reserve(request_.body.size() + kRawPadding);
}

}  // namespace cx::http
