#include "gateways/http/request_parser.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include "gateways/http/fields.hpp"
#include "runtime/raw.hpp"

namespace cx::http {

namespace beast = boost::beast;
using beast::http::error;
using beast::http::verb;

namespace {

constexpr std::size_t kKept = 4 * 1024;

/// Empties it, and lets go of what a large request left behind: there may be many connections.
void reuse(std::string& text) {
  if (text.capacity() > kKept)
    text = {};
  else
    text.clear();
}

Verb verb_of(verb method) {
  switch (method) {
    case verb::get:
      return Verb::get;
    case verb::head:
      return Verb::head;
    case verb::post:
      return Verb::post;
    case verb::put:
      return Verb::put;
    case verb::patch:
      return Verb::patch;
    case verb::delete_:
      return Verb::remove;
    case verb::options:
      return Verb::options;
    default:
      return Verb::other;
  }
}

std::optional<Field> field_of(beast::http::field name, beast::string_view text) {
  using beast::http::field;
  switch (name) {
    case field::accept_encoding:
      return Field::accept_encoding;
    case field::authorization:
      return Field::authorization;
    case field::content_encoding:
      return Field::content_encoding;
    case field::content_type:
      return Field::content_type;
    case field::if_match:
      return Field::if_match;
    case field::if_none_match:
      return Field::if_none_match;
    case field::origin:
      return Field::origin;
    case field::access_control_request_method:
      return Field::preflight_method;
    case field::unknown:
      break;
    default:
      return std::nullopt;
  }
  static constexpr std::pair<std::string_view, Field> kOthers[] = {
      {"x-api-key", Field::api_key},       {"x-request-id", Field::request_id},
      {"traceparent", Field::traceparent}, {"idempotency-key", Field::idempotency_key},
      {"x-timeout-ms", Field::timeout},
  };
  for (const auto& [other, f] : kOthers)
    if (text.size() == other.size() && same({text.data(), text.size()}, other)) return f;
  return std::nullopt;
}

}  // namespace

RequestParser::RequestParser(Request& request, std::uint64_t body_limit) : request_(request) {
  this->header_limit(kHeaderLimit);
  this->body_limit(body_limit);
  this->eager(true);
  for (auto& field : request_.fields) reuse(field);
  reuse(request_.body);
  request_.expect_continue = false;
}

void RequestParser::on_request_impl(verb method, string_view, string_view target, int version, error_code&) {
  header_bytes_ = target.size();
  request_.verb = verb_of(method);
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
    case field::expect:
      request_.expect_continue = !request_.http10 && beast::iequals(value, "100-continue");
      break;
    case field::transfer_encoding:
      if (request_.http10 || !beast::iequals(value, "chunked")) ec = error::bad_transfer_encoding;
      break;
    default:
      if (const auto known = field_of(name, text)) {
        auto& kept = request_.field(*known);
        if (!kept.empty()) kept += ", ";
        kept.append(value.data(), value.size());
      }
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
