#include "providers/channels/catalog.hpp"

#include <doctest/doctest.h>

#include "runtime/catalog/rocks_store.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/providers/channels/vendor.hpp"
#include "tests/queued_executor.hpp"

namespace cx::channels {
namespace {

v1::ChannelAccount sendgrid() {
  v1::ChannelAccount account;
  account.mutable_sendgrid()->set_api_key(test::kApiKey);
  account.mutable_sendgrid()->set_from_email("news@acme.example");
  return account;
}
v1::ChannelAccount webhook() {
  v1::ChannelAccount account;
  account.mutable_webhook()->set_url("https://hooks.example/a");
  account.mutable_webhook()->set_secret(test::kSecret);
  return account;
}
v1::MessageTemplate email() {
  v1::MessageTemplate content;
  content.mutable_email()->set_subject("Hi");
  content.mutable_email()->set_text("There");
  return content;
}

template <class T, class Edit>
T with(T document, Edit edit) {
  edit(document);
  return document;
}

}  // namespace

TEST_CASE("accounts are checked before they are stored") {
  const auto allowed = test::here();
  CHECK_FALSE(validate(sendgrid(), allowed));
  CHECK_FALSE(validate(webhook(), allowed));
  using A = v1::ChannelAccount;
  CHECK_FALSE(
      validate(with(webhook(), [](A& a) { a.mutable_webhook()->set_url("http://127.0.0.1:1/x"); }), allowed));
  const std::pair<A, const char*> bad[] = {
      {A(), ""},
      {with(sendgrid(), [](A& a) { *a.mutable_webhook() = webhook().webhook(); }), ""},
      {with(sendgrid(), [](A& a) { a.mutable_sendgrid()->clear_api_key(); }), "/sendgrid/api_key"},
      {with(sendgrid(), [](A& a) { a.mutable_sendgrid()->set_api_key("a\r\nX: y"); }), "/sendgrid/api_key"},
      {with(sendgrid(), [](A& a) { a.mutable_sendgrid()->set_from_email("x"); }), "/sendgrid/from_email"},
      {with(sendgrid(), [](A& a) { a.mutable_sendgrid()->set_reply_to("x"); }), "/sendgrid/reply_to"},
      {with(sendgrid(), [](A& a) { a.mutable_sendgrid()->set_from_name("a\nb"); }), "/sendgrid/from_name"},
      {with(sendgrid(), [](A& a) { a.mutable_sendgrid()->set_endpoint("http://x.example"); }),
       "/sendgrid/endpoint"},
      {with(sendgrid(), [](A& a) { a.mutable_sendgrid()->set_endpoint("https://10.0.0.1"); }),
       "/sendgrid/endpoint"},
      {with(sendgrid(), [](A& a) { a.mutable_sendgrid()->set_endpoint("https://x.example?a="); }),
       "/sendgrid/endpoint"},
      {with(webhook(), [](A& a) { a.mutable_webhook()->set_url("http://hooks.example/"); }), "/webhook/url"},
      {with(webhook(), [](A& a) { a.mutable_webhook()->set_url("https://169.254.169.254/"); }),
       "/webhook/url"},
      {with(webhook(), [](A& a) { a.mutable_webhook()->set_url("x"); }), "/webhook/url"},
      {with(webhook(), [](A& a) { a.mutable_webhook()->clear_secret(); }), "/webhook/secret"},
      {with(webhook(), [](A& a) { a.mutable_webhook()->set_secret("hunter2"); }), "/webhook/secret"},
  };
  for (const auto& [account, pointer] : bad) {
    CAPTURE(account.ShortDebugString());
    const auto error = validate(account, allowed);
    REQUIRE(error);
    CHECK(error->pointer == pointer);
    CHECK(error->detail.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("templates are compiled before they are stored") {
  CHECK_FALSE(validate(email()));
  using T = v1::MessageTemplate;
  CHECK_FALSE(validate(with(T(), [](T& t) { t.mutable_webhook(); })));
  const std::pair<T, const char*> bad[] = {
      {T(), ""},
      {with(email(), [](T& t) { t.mutable_webhook(); }), ""},
      {with(email(), [](T& t) { t.mutable_email()->clear_subject(); }), "/email/subject"},
      {with(email(), [](T& t) { t.mutable_email()->clear_text(); }), "/email"},
      {with(email(), [](T& t) { t.mutable_email()->set_subject("{{"); }), "/email/subject"},
      {with(email(), [](T& t) { t.mutable_email()->set_text("{% if %}"); }), "/email/text"},
      {with(email(), [](T& t) { t.mutable_email()->set_html("{% for x in y %}"); }), "/email/html"},
      {with(T(), [](T& t) { t.mutable_webhook()->set_body("{% nothing %}"); }), "/webhook/body"},
  };
  for (const auto& [content, pointer] : bad) {
    CAPTURE(content.ShortDebugString());
    const auto error = validate(content);
    REQUIRE(error);
    CHECK(error->pointer == pointer);
  }
}

TEST_CASE("accounts get their defaults") {
  const auto plain = compile(sendgrid());
  REQUIRE(plain);
  CHECK(std::get<SendGrid>(plain->vendor).address_trait == "email");
  CHECK(plain->concurrency == 64);
  CHECK(plain->attempts == 8);
  CHECK(plain->timeout == std::chrono::seconds(10));
  CHECK(plain->rate.per_second == 0);
  const auto own = compile(with(sendgrid(), [](v1::ChannelAccount& a) {
    a.mutable_sendgrid()->set_endpoint("https://eu.example/base//");
    a.set_rate_per_second(100);
    a.set_attempts(3);
  }));
  REQUIRE(own);
  CHECK(std::get<SendGrid>(own->vendor).url == "https://eu.example/base/v3/mail/send");
  CHECK(own->rate.per_second == 100);
  CHECK(own->rate.burst == 1);
  CHECK(own->attempts == 3);
}

TEST_CASE("accounts and templates are found as they are now, in their tenant") {
  cx::test::FaultEnvironment environment;
  cx::test::QueuedExecutor executor;
  auto store = RocksDocumentStore::open("/data/catalog", environment.files());
  REQUIRE(store);
  Catalog catalog(**store, environment.clock(), executor);
  define_channel_documents(catalog, test::here());
  REQUIRE(catalog.put({kChannelDocument, "acme", "main"}, sendgrid(), std::nullopt, "ann"));
  const CatalogAccounts accounts(catalog);
  CHECK(accounts.account("acme", "main"));
  CHECK_FALSE(accounts.account("other", "main"));
  CHECK_FALSE(accounts.account("acme", "welcome"));
  CHECK_FALSE(accounts.content("acme", "welcome"));

  REQUIRE(catalog.put({kTemplateDocument, "acme", "welcome"}, email(), std::nullopt, "ann"));
  REQUIRE(catalog.put({kChannelDocument, "acme", "main"}, webhook(), std::nullopt, "ann"));
  executor.run();
  CHECK(accounts.content("acme", "welcome"));
  CHECK(std::holds_alternative<Webhook>(accounts.account("acme", "main")->vendor));
  REQUIRE(catalog.remove({kChannelDocument, "acme", "main"}, std::nullopt, "ann"));
  executor.run();
  CHECK_FALSE(accounts.account("acme", "main"));
  CHECK_FALSE(catalog.put({kChannelDocument, "acme", "main"}, v1::ChannelAccount(), std::nullopt, "ann"));
}

}  // namespace cx::channels
