#include "providers/channels/sendgrid.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "providers/channels/message.hpp"
#include "providers/channels/render.hpp"

namespace cx::channels {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostSubject = 998;        // RFC 5322, a line
constexpr std::size_t kMostContent = 4'000'000;  // SendGrid takes 30 MB
constexpr std::size_t kMostComplaint = 200;

Error wrong(std::string type, std::string detail) {
  return {Code::invalid_argument, std::move(type), std::move(detail), ""};
}

Result<std::string> address_of(const SendGrid& account, const json::object& data) {
  const auto& customer = data.at("customer").as_object();
  const auto* trait = customer.if_contains(account.address_trait);
  if (trait == nullptr || trait->is_null() || (trait->is_string() && trait->get_string().empty()))
    return wrong("no-address",
                 fmt::format("The customer has no trait {}. Send it by identify.", account.address_trait));
  if (!trait->is_string() || !is_email({trait->get_string().data(), trait->get_string().size()}))
    return wrong("invalid-email",
                 fmt::format("The customer's trait {} is no e-mail address. Send it again by identify.",
                             account.address_trait));
  return std::string(trait->get_string());
}

/// On one line: a subject is a header field.
std::string one_line(std::string text) {
  for (auto& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  const auto begin = text.find_first_not_of(' ');
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

}  // namespace

Result<HttpRequest> sendgrid_request(const SendGrid& account, const EmailContent& content,
                                     const std::string& message_id, const json::object& data,
                                     std::int64_t now) {
  const auto to = address_of(account, data);
  if (!to) return to.error();
  auto subject = render(content.subject, "subject", data, now);
  if (!subject) return subject.error();
  *subject = one_line(std::move(*subject));
  if (subject->empty() || subject->size() > kMostSubject)
    return wrong("invalid-subject",
                 fmt::format("The subject has {} bytes; it needs 1 to {}.", subject->size(), kMostSubject));

  json::array parts;  // SendGrid wants the plain text first
  std::size_t bytes = 0;
  const auto add = [&](const std::optional<liquid::Template>& source, const char* which, const char* type,
                       bool html) -> std::optional<Error> {
    if (!source) return std::nullopt;
    auto text = render(*source, which, data, now, html);
    if (!text) return text.error();
    bytes += text->size();
    if (!text->empty()) parts.push_back(json::object{{"type", type}, {"value", std::move(*text)}});
    return std::nullopt;
  };
  if (auto error = add(content.text, "text", "text/plain", false)) return *error;
  if (auto error = add(content.html, "html", "text/html", true)) return *error;
  if (parts.empty()) return wrong("empty-body", "The template renders to nothing for this customer.");
  if (bytes > kMostContent)
    return wrong("message-too-large",
                 fmt::format("The message has {} bytes; {} is the most.", bytes, kMostContent));

  json::object from{{"email", account.from_email}};
  if (!account.from_name.empty()) from["name"] = account.from_name;
  json::object mail;
  json::array receivers, personalizations;
  receivers.push_back(json::object{{"email", *to}});
  personalizations.push_back(json::object{{"to", std::move(receivers)}});
  mail["personalizations"] = std::move(personalizations);
  mail["from"] = std::move(from);
  if (!account.reply_to.empty()) mail["reply_to"] = json::object{{"email", account.reply_to}};
  mail["subject"] = *subject;
  mail["content"] = std::move(parts);
  mail["custom_args"] = json::object{{"message_id", message_id}};

  HttpRequest request;
  request.url = account.url;
  request.headers = {"Content-Type: application/json", "Authorization: Bearer " + account.api_key,
                     "Idempotency-Key: " + message_id};
  request.body = json::serialize(mail);
  return request;
}

std::string sendgrid_complaint(const SendGrid& account, const std::string& body) {
  boost::system::error_code error;
  const auto answer = json::parse(body, error);
  if (error || !answer.is_object()) return {};
  const auto* errors = answer.get_object().if_contains("errors");
  if (errors == nullptr || !errors->is_array() || errors->get_array().empty() ||
      !errors->get_array()[0].is_object())
    return {};
  const auto text = [&](const char* name) -> std::string {
    const auto* value = errors->get_array()[0].get_object().if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  };
  const auto field = text("field");
  auto complaint = one_line(field.empty() ? text("message") : field + ": " + text("message"));
  // Whoever answers may say back what it was told.
  for (auto at = complaint.find(account.api_key); !account.api_key.empty() && at != complaint.npos;
       at = complaint.find(account.api_key, at))
    complaint.replace(at, account.api_key.size(), "***");
  for (auto& c : complaint)
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';  // cut anywhere, it stays UTF-8
  if (complaint.size() > kMostComplaint) complaint.resize(kMostComplaint);
  while (complaint.ends_with('.')) complaint.pop_back();
  return complaint;
}

}  // namespace cx::channels
