#include "providers/channels/message.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <curl/curl.h>
#include <fmt/format.h>

#include "providers/channels/sendgrid.hpp"
#include "providers/channels/webhook.hpp"

namespace cx::channels {
namespace {

namespace json = boost::json;

/// Texts of JSON objects; empty is one without members.
bool read_object(const std::string& text, json::object& into) {
  if (text.empty()) return true;
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object()) return false;
  into = std::move(value.as_object());
  return true;
}

const char* name_of(v1::Channel channel) {
  switch (channel) {
    case v1::CHANNEL_EMAIL:
      return "email";
    case v1::CHANNEL_WEBHOOK:
      return "webhook";
    default:
      return "other";
  }
}

/// Retry-After (RFC 9110, 10.2.3): seconds, or a date.
pool::Duration pause_of(const std::string& field, std::int64_t now) {
  if (field.empty()) return {};
  std::int64_t seconds = 0;
  if (field.find_first_not_of("0123456789") == field.npos) {
    seconds = field.size() > 9 ? 999'999'999 : std::stoll(field);
  } else if (const auto at = curl_getdate(field.c_str(), nullptr); at > 0) {
    seconds = std::max<std::int64_t>(0, static_cast<std::int64_t>(at) - now / 1000);
  }
  // Zero would be no pause at all, for a receiver that asked for one.
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 1, 86'400));
}

}  // namespace

Result<json::object> make_data(const std::string& message_id, const v1::Clearance& clearance) {
  json::object customer, event, memory;
  if (!read_object(clearance.traits(), customer) || !read_object(clearance.event(), event) ||
      !read_object(clearance.memory(), memory))
    return Error{Code::internal, "invalid-clearance",
                 "The traits, event or memory of the message's customer are not JSON objects. Report this.",
                 ""};
  customer["id"] = clearance.customer_id();
  json::object data;
  data["customer"] = std::move(customer);
  data["event"] = std::move(event);
  data["memory"] = std::move(memory);
  data["journey"] = json::object{{"id", clearance.journey()}, {"step", clearance.step()}};
  data["message"] = json::object{
      {"id", message_id}, {"purpose", clearance.purpose()}, {"channel", name_of(clearance.channel())}};
  return data;
}

Result<HttpRequest> make_request(const Account& account, const Content& content,
                                 const std::string& message_id, const v1::Clearance& clearance,
                                 std::int64_t now) {
  const bool email = std::holds_alternative<SendGrid>(account.vendor);
  if (clearance.channel() != (email ? v1::CHANNEL_EMAIL : v1::CHANNEL_WEBHOOK) ||
      email != std::holds_alternative<EmailContent>(content))
    return Error{
        Code::invalid_argument, "wrong-channel",
        fmt::format("The step's channel, its channel account and template '{}' are not of one kind. Correct "
                    "the journey's step.",
                    clearance.template_()),
        ""};
  const auto data = make_data(message_id, clearance);
  if (!data) return data.error();
  auto request = email ? sendgrid_request(std::get<SendGrid>(account.vendor), std::get<EmailContent>(content),
                                          message_id, *data, now)
                       : webhook_request(std::get<Webhook>(account.vendor), std::get<WebhookContent>(content),
                                         message_id, *data, now);
  if (request) request->timeout = account.timeout;
  return request;
}

Outcome judge(const Account& account, const HttpReply& reply, std::int64_t now) {
  const auto error = [](std::string type, std::string detail) {
    return Error{Code::unavailable, std::move(type), std::move(detail), ""};
  };
  if (reply.status == 0) {
    if (reply.sent)
      return Outcome::unknown(
          error("no-response",
                fmt::format("The receiver did not answer: {}. It may have the message.", reply.error)));
    return Outcome::retry(
        error("not-reached", fmt::format("The receiver could not be reached: {}.", reply.error)));
  }
  if (reply.status >= 200 && reply.status < 300) return Outcome::done({.vendor_id = reply.message_id});

  std::string detail = fmt::format("The receiver answered {}", reply.status);
  if (const auto* sendgrid = std::get_if<SendGrid>(&account.vendor))
    if (const auto why = sendgrid_complaint(*sendgrid, reply.body); !why.empty()) detail += ": " + why;
  auto failure = error(fmt::format("http-{}", reply.status), detail + ".");
  const bool later = reply.status == 408 || reply.status == 425 || reply.status == 429 || reply.status >= 500;
  return later ? Outcome::retry(std::move(failure), pause_of(reply.retry_after, now))
               : Outcome::failed(std::move(failure));
}

bool is_email(std::string_view text) {
  constexpr std::string_view kAtext = "!#$%&'*+-/=?^_`{|}~";
  const auto alnum = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const auto at = text.rfind('@');
  if (at == text.npos || at == 0 || at > 64 || text.size() > 254) return false;
  const auto local = text.substr(0, at);
  auto domain = text.substr(at + 1);
  if (local.front() == '.' || local.back() == '.' || local.find("..") != local.npos) return false;
  for (const char c : local)
    if (!alnum(c) && c != '.' && kAtext.find(c) == kAtext.npos) return false;
  if (domain.find('.') == domain.npos) return false;
  for (bool more = true; more;) {
    const auto dot = domain.find('.');
    const auto label = domain.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    for (const char c : label)
      if (!alnum(c) && c != '-') return false;
    more = dot != domain.npos;
    if (more) domain.remove_prefix(dot + 1);
    // No address of a machine: the last label is a name.
    if (!more && label.find_first_not_of("0123456789") == label.npos) return false;
  }
  return true;
}

}  // namespace cx::channels
