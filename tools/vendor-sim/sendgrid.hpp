#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/object.hpp>
#include <string>

namespace cx::vendor_sim {

/// What SendGrid says of POST /v3/mail/send, as far as its reference has it:
/// https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
struct MailVerdict {
  unsigned status = 202;
  boost::json::object body;  ///< of an error: {"errors": [{"message", "field", "help"}]}
  std::string id;            ///< custom_args.message_id, else Idempotency-Key
};
/// `key`: the API key; empty: any.
MailVerdict judge_sendgrid(const boost::beast::http::request<boost::beast::http::string_body>& request,
                           const std::string& key);

}  // namespace cx::vendor_sim
