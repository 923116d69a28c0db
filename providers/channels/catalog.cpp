#include "providers/channels/catalog.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "providers/channels/message.hpp"

namespace cx::channels {
namespace {

constexpr char kSendGridApi[] = "https://api.sendgrid.com";
constexpr char kSendGridMethod[] = "/v3/mail/send";
constexpr liquid::Limits kLimits{.template_bytes = 1'000'000};  // as long as a document

Error wrong(std::string detail, std::string pointer) {
  return {Code::invalid_argument, "invalid-document", std::move(detail), std::move(pointer)};
}

/// Whether a text can stand in a field of HTTP or of an e-mail.
bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}
bool is_token(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string sendgrid_base(const v1::SendGridAccount& account) {
  auto base = account.endpoint().empty() ? std::string(kSendGridApi) : account.endpoint();
  while (base.ends_with('/')) base.pop_back();
  return base;
}

std::optional<Error> check(const v1::SendGridAccount& account, const net::PrivateHosts& allowed) {
  if (account.api_key().empty() || !is_token(account.api_key()))
    return wrong(
        "An account at SendGrid needs its API key. Send it as api_key, also when anything else of the "
        "account changes: it is never shown.",
        "/sendgrid/api_key");
  if (!is_email(account.from_email()))
    return wrong("from_email is no e-mail address. Write it as news@example.com.", "/sendgrid/from_email");
  if (!account.reply_to().empty() && !is_email(account.reply_to()))
    return wrong("reply_to is no e-mail address. Write it as help@example.com, or leave it out.",
                 "/sendgrid/reply_to");
  if (!is_plain(account.from_name()))
    return wrong("from_name has control characters in it. Take them out.", "/sendgrid/from_name");
  if (account.endpoint().find_first_of("?#") != std::string::npos)
    return wrong("endpoint is the base of the API, without a query.", "/sendgrid/endpoint");
  if (auto error = net::check_url(sendgrid_base(account), allowed)) {
    error->pointer = "/sendgrid/endpoint";
    return error;
  }
  return std::nullopt;
}

std::optional<Error> check(const v1::WebhookEndpoint& webhook, const net::PrivateHosts& allowed) {
  if (auto error = net::check_url(webhook.url(), allowed)) {
    error->pointer = "/webhook/url";
    return error;
  }
  const auto secrets = WebhookSecrets::parse(webhook.secret());
  if (secrets) return std::nullopt;
  auto error = secrets.error();
  error.pointer = "/webhook/secret";
  return error;
}

/// Compiles a template that may be absent.
Result<std::optional<liquid::Template>> compile_part(const std::string& source, const char* pointer) {
  if (source.empty()) return std::optional<liquid::Template>();
  auto made = liquid::Template::compile(source, kLimits);
  if (made) return std::optional(std::move(*made));
  auto error = made.error();
  error.pointer = pointer;
  return error;
}

std::string name_of(std::string_view tenant, std::string_view id) {
  return std::string(tenant).append(1, '/').append(id);
}

template <class T>
std::shared_ptr<const T> find(const ByName<T>& all, std::string_view tenant, std::string_view id) {
  const auto found = all.find(name_of(tenant, id));
  return found == all.end() ? nullptr : found->second;
}

template <class Message, class T>
void compile_into(ByName<T>& all, const DocumentKey& key, const v1::Document& document) {
  auto body = read_body<Message>(document);
  auto made = body ? compile(*body) : Result<T>(body.error());
  if (made)
    all.emplace(name_of(key.tenant, key.id), std::make_shared<const T>(std::move(*made)));
  else
    spdlog::error("{} cannot be used: {}", key.text(), made.error().detail);
}

}  // namespace

std::optional<Error> validate(const v1::ChannelAccount& account, const net::PrivateHosts& allowed) {
  if (account.has_sendgrid() == account.has_webhook())
    return wrong("A channel is exactly one of sendgrid and webhook.", "");
  return account.has_sendgrid() ? check(account.sendgrid(), allowed) : check(account.webhook(), allowed);
}

std::optional<Error> validate(const v1::MessageTemplate& content) {
  if (content.has_email() == content.has_webhook())
    return wrong("A template is exactly one of email and webhook.", "");
  if (content.has_email() && content.email().subject().empty())
    return wrong("An e-mail needs a subject.", "/email/subject");
  if (content.has_email() && content.email().text().empty() && content.email().html().empty())
    return wrong("An e-mail needs text, html or both.", "/email");
  const auto compiled = compile(content);
  return compiled ? std::nullopt : std::optional(compiled.error());
}

Result<Account> compile(const v1::ChannelAccount& account) {
  Account out{Webhook{}};
  if (account.has_sendgrid()) {
    const auto& from = account.sendgrid();
    out.vendor = SendGrid{sendgrid_base(from) + kSendGridMethod,
                          from.api_key(),
                          from.from_email(),
                          from.from_name(),
                          from.reply_to(),
                          from.address_trait().empty() ? "email" : from.address_trait()};
  } else {
    auto secrets = WebhookSecrets::parse(account.webhook().secret());
    if (!secrets) return secrets.error();
    out.vendor = Webhook{account.webhook().url(), std::move(*secrets)};
  }
  out.rate.per_second = account.rate_per_second();
  out.rate.burst = std::max<double>(1, account.burst());
  if (account.concurrency() > 0) out.concurrency = account.concurrency();
  if (account.attempts() > 0) out.attempts = account.attempts();
  if (account.timeout_ms() > 0) out.timeout = std::chrono::milliseconds(account.timeout_ms());
  return out;
}

Result<Content> compile(const v1::MessageTemplate& content) {
  if (content.has_webhook()) {
    auto body = compile_part(content.webhook().body(), "/webhook/body");
    if (!body) return body.error();
    return Content(WebhookContent{std::move(*body)});
  }
  auto subject = liquid::Template::compile(content.email().subject(), kLimits);
  if (!subject) {
    auto error = subject.error();
    error.pointer = "/email/subject";
    return error;
  }
  auto text = compile_part(content.email().text(), "/email/text");
  if (!text) return text.error();
  auto html = compile_part(content.email().html(), "/email/html");
  if (!html) return html.error();
  return Content(EmailContent{std::move(*subject), std::move(*text), std::move(*html)});
}

void define_channel_documents(Catalog& catalog, net::PrivateHosts allowed) {
  catalog.define<v1::ChannelAccount>(kChannelDocument,
                                     [allowed = std::move(allowed)](const v1::ChannelAccount& account) {
                                       return validate(account, allowed);
                                     });
  catalog.define<v1::MessageTemplate>(kTemplateDocument,
                                      [](const v1::MessageTemplate& content) { return validate(content); });
}

Result<ChannelDirectory> compile_channels(const Definitions& definitions) {
  ChannelDirectory out;
  for (const auto& [key, document] : definitions)
    if (key.kind == kChannelDocument)
      compile_into<v1::ChannelAccount>(out.accounts, key, document);
    else if (key.kind == kTemplateDocument)
      compile_into<v1::MessageTemplate>(out.contents, key, document);
  return out;
}

std::shared_ptr<const Account> CatalogAccounts::account(std::string_view tenant, std::string_view id) const {
  return find(compiled_.get()->accounts, tenant, id);
}

std::shared_ptr<const Content> CatalogAccounts::content(std::string_view tenant, std::string_view id) const {
  return find(compiled_.get()->contents, tenant, id);
}

}  // namespace cx::channels
