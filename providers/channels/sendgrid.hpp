#pragma once

#include <boost/json/object.hpp>

#include "providers/channels/accounts.hpp"
#include "providers/channels/http.hpp"

// E-mail by SendGrid's v3 API: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send

namespace cx::channels {

/// A message as POST /v3/mail/send; custom_args.message_id and the field Idempotency-Key are the message's
/// id. See make_request.
Result<HttpRequest> sendgrid_request(const SendGrid& account, const EmailContent& content,
                                     const std::string& message_id, const boost::json::object& data,
                                     std::int64_t now);

/// What SendGrid says is wrong, from the body of a refusal: "subject: The subject is required."; at most 200
/// characters, and without the account's key. Empty when it says nothing.
std::string sendgrid_complaint(const SendGrid& account, const std::string& body);

}  // namespace cx::channels
