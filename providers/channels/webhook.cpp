#include "providers/channels/webhook.hpp"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "providers/channels/render.hpp"

namespace cx::channels {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostBody = 1'000'000;

bool is_json(const std::string& text) {
  boost::system::error_code error;
  json::monotonic_resource memory;
  static_cast<void>(json::parse(text, error, &memory));
  return !error;
}

}  // namespace

Result<HttpRequest> webhook_request(const Webhook& webhook, const WebhookContent& content,
                                    const std::string& message_id, const json::object& data,
                                    std::int64_t now) {
  HttpRequest request;
  request.url = webhook.url;
  if (content.body) {
    auto body = render(*content.body, "body", data, now);
    if (!body) return body.error();
    request.body = std::move(*body);
    if (!is_json(request.body))
      return Error{Code::invalid_argument, "invalid-body",
                   "What the template renders to is not JSON. Put values out by the filter json.", ""};
  } else {
    request.body = json::serialize(data);
  }
  if (request.body.size() > kMostBody)
    return Error{Code::invalid_argument, "message-too-large",
                 fmt::format("The message has {} bytes; {} is the most.", request.body.size(), kMostBody),
                 ""};
  const auto timestamp = now / 1000;
  request.headers = {"Content-Type: application/json", "webhook-id: " + message_id,
                     "webhook-timestamp: " + std::to_string(timestamp),
                     "webhook-signature: " + webhook.secrets.sign(message_id, timestamp, request.body)};
  return request;
}

}  // namespace cx::channels
