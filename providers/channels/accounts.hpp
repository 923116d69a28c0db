#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "providers/channels/standard_webhooks.hpp"
#include "providers/pool/policy.hpp"
#include "runtime/liquid/template.hpp"

namespace cx::channels {

/// A v1::SendGridAccount, checked.
struct SendGrid {
  std::string url;  ///< of the method: https://api.sendgrid.com/v3/mail/send
  std::string api_key, from_email, from_name, reply_to, address_trait;
};
/// A v1::WebhookEndpoint, checked.
struct Webhook {
  std::string url;
  WebhookSecrets secrets;
};

/// Where messages leave: a v1::ChannelAccount with its defaults filled in.
struct Account {
  std::variant<SendGrid, Webhook> vendor;
  pool::Rate rate = {};  ///< none when its per_second is 0
  std::uint32_t concurrency = 64, attempts = 8;
  std::chrono::milliseconds timeout{10'000};
};

/// What messages say: a v1::MessageTemplate, compiled.
struct EmailContent {
  liquid::Template subject;
  std::optional<liquid::Template> text, html;
};
struct WebhookContent {
  std::optional<liquid::Template> body;  ///< absent: all that a template can see, as JSON
};
using Content = std::variant<EmailContent, WebhookContent>;

/// Where a pool finds the accounts and templates of tenants as they are now. Thread-safe; never blocks.
class Accounts {
 public:
  virtual ~Accounts() = default;
  /// Null where there is none.
  virtual std::shared_ptr<const Account> account(std::string_view tenant, std::string_view id) const = 0;
  virtual std::shared_ptr<const Content> content(std::string_view tenant, std::string_view id) const = 0;
};

}  // namespace cx::channels
