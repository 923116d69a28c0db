#include "tools/vendor-sim/sendgrid.hpp"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>

namespace cx::vendor_sim {
namespace {

namespace http = boost::beast::http;
namespace json = boost::json;

struct Complaint {
  unsigned status;
  const char* message;
  const char* field;  // null: none
};

const json::value* at(const json::value* value, const char* name) {
  return value != nullptr && value->is_object() ? value->get_object().if_contains(name) : nullptr;
}
const json::array* list(const json::value* value) {
  return value != nullptr && value->is_array() ? &value->get_array() : nullptr;
}
std::string_view text(const json::value* value) {
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}
bool is_address(const json::value* value) {
  const auto email = text(at(value, "email"));
  const auto sign = email.rfind('@');
  return sign != email.npos && sign > 0 && email.find('.', sign) != email.npos &&
         email.find_first_of(" ,<>\r\n") == email.npos;
}

const Complaint* find_fault(const json::value& mail) {
  static constexpr Complaint kPersonalizations{
      400, "The personalizations field is required and must have at least one personalization.",
      "personalizations"};
  static constexpr Complaint kTo{400,
                                 "The to array is required for all personalization objects, and must have at "
                                 "least one email object with a valid email address.",
                                 "personalizations.0.to"};
  static constexpr Complaint kFrom{
      400,
      "The from object must be provided for every email send. It is an object that requires the email "
      "parameter, but may also contain a name parameter.",
      "from.email"};
  static constexpr Complaint kSubject{400,
                                      "The subject is required. You can get around this requirement if you "
                                      "use a template with a subject defined.",
                                      "subject"};
  static constexpr Complaint kContent{400,
                                      "The content must be an array of at least one object with a type and a "
                                      "value of at least one character.",
                                      "content"};
  static constexpr Complaint kOrder{
      400, "If present, text/plain must be first, followed by text/html, followed by any other content.",
      "content"};
  static constexpr Complaint kArguments{400, "The custom_args must be an object of strings.", "custom_args"};

  const auto* personalizations = list(at(&mail, "personalizations"));
  if (personalizations == nullptr || personalizations->empty() || personalizations->size() > 1000)
    return &kPersonalizations;
  bool subjects = true;
  for (const auto& one : *personalizations) {
    const auto* to = list(at(&one, "to"));
    if (to == nullptr || to->empty()) return &kTo;
    for (const auto& address : *to)
      if (!is_address(&address)) return &kTo;
    subjects = subjects && !text(at(&one, "subject")).empty();
  }
  if (!is_address(at(&mail, "from"))) return &kFrom;
  if (text(at(&mail, "subject")).empty() && !subjects) return &kSubject;
  const auto* content = list(at(&mail, "content"));
  if (content == nullptr || content->empty()) return &kContent;
  for (const auto& part : *content) {
    if (text(at(&part, "type")).empty() || text(at(&part, "value")).empty()) return &kContent;
    if (text(at(&part, "type")) == "text/plain" && &part != content->begin()) return &kOrder;
  }
  if (const auto* arguments = at(&mail, "custom_args")) {
    if (!arguments->is_object()) return &kArguments;
    for (const auto& argument : arguments->get_object())
      if (!argument.value().is_string()) return &kArguments;
  }
  return nullptr;
}

MailVerdict refuse(const Complaint& complaint, MailVerdict verdict) {
  verdict.status = complaint.status;
  json::array errors;
  errors.push_back(
      json::object{{"message", complaint.message},
                   {"field", complaint.field == nullptr ? json::value() : json::value(complaint.field)},
                   {"help", nullptr}});
  verdict.body = {{"errors", std::move(errors)}};
  return verdict;
}

}  // namespace

MailVerdict judge_sendgrid(const http::request<http::string_body>& request, const std::string& key) {
  MailVerdict verdict;
  verdict.id = std::string(request["idempotency-key"]);
  const auto credential = request[http::field::authorization];
  const std::string_view shown(credential.data(), credential.size());
  if (!shown.starts_with("Bearer ") || shown.size() == 7)
    return refuse({401, "Permission denied, wrong credentials", nullptr}, std::move(verdict));
  if (!key.empty() && shown.substr(7) != key)
    return refuse({401, "The provided authorization grant is invalid, expired, or revoked", nullptr},
                  std::move(verdict));
  if (!request[http::field::content_type].starts_with("application/json"))
    return refuse({415, "Content-Type should be application/json.", nullptr}, std::move(verdict));
  boost::system::error_code error;
  json::monotonic_resource memory;
  const auto mail = json::parse(request.body(), error, &memory);
  if (error || !mail.is_object()) return refuse({400, "Bad Request", nullptr}, std::move(verdict));
  if (const auto id = text(at(at(&mail, "custom_args"), "message_id")); !id.empty()) verdict.id = id;
  if (const auto* fault = find_fault(mail)) return refuse(*fault, std::move(verdict));
  return verdict;
}

}  // namespace cx::vendor_sim
