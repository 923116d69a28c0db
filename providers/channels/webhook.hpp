#pragma once

#include <boost/json/object.hpp>

#include "providers/channels/accounts.hpp"
#include "providers/channels/http.hpp"

namespace cx::channels {

/// A message as a signed POST of JSON; webhook-id is the message's id. See make_request.
Result<HttpRequest> webhook_request(const Webhook& webhook, const WebhookContent& content,
                                    const std::string& message_id, const boost::json::object& data,
                                    std::int64_t now);

}  // namespace cx::channels
