#include "gateways/metadata.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "cx/v1/bidding.pb.h"
#include "gateways/json/codec.hpp"
#include "runtime/uuid.hpp"

namespace cx {
namespace {

using google::protobuf::Message;

constexpr std::uint32_t kMaxTimeout = 3'600'000;  // milliseconds

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == text.npos;
}

}  // namespace

std::string request_id(std::string_view given, Environment& environment) {
  const bool sane =
      !given.empty() && given.size() <= 128 && std::all_of(given.begin(), given.end(), [](char c) {
        return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
      });
  if (sane) return std::string(given);
  return uuid7(environment.clock().unix_ms(), environment.random(), environment.random());
}

std::string trace_id(std::string_view traceparent, Environment& environment) {
  // version "-" trace id "-" parent id "-" flags; later versions may go on after another "-".
  const auto& t = traceparent;
  const bool valid = t.size() >= 55 && t[2] == '-' && t[35] == '-' && t[52] == '-' &&
                     is_hex(t.substr(0, 2)) && is_hex(t.substr(3, 32)) && is_hex(t.substr(36, 16)) &&
                     is_hex(t.substr(53, 2)) && t.substr(0, 2) != "ff" &&
                     (t.size() == 55 || (t.substr(0, 2) != "00" && t[55] == '-')) &&
                     !is_zero(t.substr(3, 32)) && !is_zero(t.substr(36, 16));
  if (valid) return std::string(t.substr(3, 32));
  return fmt::format("{:016x}{:016x}", environment.random() | 1, environment.random());
}

Result<std::string> idempotency_key(const Method& method, std::string_view given) {
  if (given.empty()) return std::string();
  if (given.size() > 255 ||
      !std::all_of(given.begin(), given.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
    return Error{Code::invalid_argument, "invalid-idempotency-key",
                 "The idempotency key is not 1 to 255 printable characters without spaces; send a UUID, say.",
                 ""};
  if (method.effect != v1::EFFECT_READS && method.target.empty())
    return Error{Code::invalid_argument, "idempotency-key-unsupported",
                 method.name + " takes no idempotency key; send the request without one.", ""};
  return std::string(given);
}

Result<std::string_view> if_match_of(std::string_view field) {
  if (field == "*") return field;
  const bool quoted = field.size() >= 3 && field.front() == '"' && field.back() == '"';
  const auto tag = quoted ? field.substr(1, field.size() - 2) : std::string_view();
  if (!tag.empty() && tag.find('"') == tag.npos) return tag;
  return Error{Code::invalid_argument, "invalid-if-match",
               "If-Match is not one entity tag in quotes, as the ETag field of an answer has it, or *.", ""};
}

std::optional<Error> read_if_match(const Method& method, std::string_view given, Message& message) {
  if (given.empty()) return std::nullopt;
  if (method.if_match == nullptr)
    return Error{Code::invalid_argument, "if-match-unsupported",
                 method.name + " does not look at If-Match; send the request without it.", ""};
  const auto tag = if_match_of(given);
  if (!tag) return tag.error();
  message.GetReflection()->SetString(&message, method.if_match, std::string(*tag));
  return std::nullopt;
}

Result<std::uint32_t> timeout_of(std::string_view field) {
  std::uint32_t ms = 0;
  const auto* end = field.data() + field.size();
  const auto [stop, failure] = std::from_chars(field.data(), end, ms);
  if (failure == std::errc() && stop == end && ms > 0 && ms <= kMaxTimeout) return ms;
  return Error{Code::invalid_argument, "invalid-timeout",
               "X-Timeout-Ms is not a number of milliseconds from 1 to 3600000.", ""};
}

RawReply write_reply(const Method& method, const Services::Reply& reply) {
  if (!reply) return RawReply::failure(reply.error());
  const Message& message = **reply;
  if (const auto* raw = dynamic_cast<const v1::RawBody*>(&message)) {
    auto document = RawReply::document(raw->body());
    document.metadata.emplace_back("content-type", raw->content_type());
    return document;
  }
  RawReply document = RawReply::document({});
  json::print(message, document.body);
  if (method.etag != nullptr) {
    auto tag = message.GetReflection()->GetString(message, method.etag);
    std::replace(tag.begin(), tag.end(), '"', '\'');  // no tag of ours has quotes; one would end it
    if (!tag.empty()) document.metadata.emplace_back("etag", '"' + tag + '"');
  }
  return document;
}

std::string rate_limit_policy(const Quota& quota) {
  return fmt::format("\"default\";q={};w={}", quota.limit, quota.window_seconds);
}

std::string rate_limit(const Quota& quota) {
  return fmt::format("\"default\";r={};t={}", quota.remaining,
                     quota.retry_seconds == 0 ? quota.reset_seconds : quota.retry_seconds);
}

}  // namespace cx
