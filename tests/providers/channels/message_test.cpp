#include "providers/channels/message.hpp"

#include <boost/json/parse.hpp>
#include <doctest/doctest.h>

#include "providers/channels/catalog.hpp"
#include "providers/channels/sendgrid.hpp"
#include "tests/providers/channels/vendor.hpp"

namespace cx::channels {
namespace {

constexpr std::int64_t kNow = 1'764'000'000'000;

Account account(bool email) {
  v1::ChannelAccount made;
  if (email) {
    made.mutable_sendgrid()->set_api_key(test::kApiKey);
    made.mutable_sendgrid()->set_from_email("news@acme.example");
  } else {
    made.mutable_webhook()->set_url("https://hooks.example/a");
    made.mutable_webhook()->set_secret(test::kSecret);
  }
  auto compiled = compile(made);
  REQUIRE(compiled);
  return *compiled;
}

Content email(const std::string& subject, const std::string& text, const std::string& html) {
  v1::MessageTemplate made;
  made.mutable_email()->set_subject(subject);
  made.mutable_email()->set_text(text);
  made.mutable_email()->set_html(html);
  auto compiled = compile(made);
  REQUIRE(compiled);
  return *compiled;
}
Content webhook(const std::string& body) {
  v1::MessageTemplate made;
  made.mutable_webhook()->set_body(body);
  auto compiled = compile(made);
  REQUIRE(compiled);
  return *compiled;
}

v1::Clearance clearance(v1::Channel channel) {
  v1::Clearance made;
  made.set_verdict(v1::Clearance::GO);
  made.set_channel(channel);
  made.set_template_("welcome");
  made.set_customer_id("c-1");
  made.set_traits(R"({"email":"ann@example.com","first_name":"Ann <3","id":"not this"})");
  made.set_event(R"({"name":"Signed Up","properties":{"plan":"gold"}})");
  made.set_journey("welcome");
  made.set_step("hello");
  made.set_purpose("marketing");
  return made;
}

std::string header(const HttpRequest& request, const std::string& name) {
  for (const auto& header : request.headers)
    if (header.starts_with(name + ": ")) return header.substr(name.size() + 2);
  return {};
}

}  // namespace

TEST_CASE("an e-mail becomes what SendGrid takes") {
  const auto request =
      make_request(account(true),
                   email("Hi {{ customer.first_name }}\n!", "Plan {{ event.properties.plan }}",
                         "<b>{{ customer.first_name }}</b>{{ customer.id }}"),
                   "m-1", clearance(v1::CHANNEL_EMAIL), kNow);
  REQUIRE(request);
  CHECK(request->url == "https://api.sendgrid.com/v3/mail/send");
  CHECK(header(*request, "Authorization") == std::string("Bearer ") + test::kApiKey);
  CHECK(header(*request, "Idempotency-Key") == "m-1");
  const auto expected = boost::json::parse(R"({
    "personalizations": [{"to": [{"email": "ann@example.com"}]}],
    "from": {"email": "news@acme.example"},
    "subject": "Hi Ann <3 !",
    "content": [{"type": "text/plain", "value": "Plan gold"},
                {"type": "text/html", "value": "<b>Ann &lt;3</b>c-1"}],
    "custom_args": {"message_id": "m-1"}})");
  CHECK(boost::json::parse(request->body) == expected);
}

TEST_CASE("a webhook is signed, and without a body says everything") {
  const auto hook = account(false);
  const auto cleared = clearance(v1::CHANNEL_WEBHOOK);
  const auto own =
      make_request(hook, webhook(R"({"to": {{ customer.email | json }}})"), "m-2", cleared, kNow);
  REQUIRE(own);
  CHECK(own->body == R"({"to": "ann@example.com"})");
  const auto secrets = std::get<Webhook>(hook.vendor).secrets;
  CHECK_FALSE(secrets.verify("m-2", header(*own, "webhook-timestamp"), header(*own, "webhook-signature"),
                             own->body, kNow / 1000));
  CHECK(header(*own, "webhook-id") == "m-2");

  const auto whole = make_request(hook, webhook(""), "m-2", cleared, kNow);
  REQUIRE(whole);
  const auto data = boost::json::parse(whole->body);
  CHECK(data.at("customer").at("id") == "c-1");
  CHECK(data.at("customer").at("email") == "ann@example.com");
  CHECK(data.at("event").at("properties").at("plan") == "gold");
  CHECK(data.at("memory") == boost::json::object());
  CHECK(data.at("journey").at("step") == "hello");
  CHECK(data.at("message") ==
        boost::json::parse(R"({"id":"m-2","purpose":"marketing","channel":"webhook"})"));
}

TEST_CASE("what cannot be made into a request fails for its reason, and quotes nothing of the customer's") {
  const auto mail = account(true), hook = account(false);
  const auto plain = email("s", "t", "");
  const auto cleared = [](v1::Channel channel, const char* traits) {
    auto made = clearance(channel);
    made.set_traits(traits);
    return made;
  };
  struct Case {
    const Account& account;
    Content content;
    v1::Clearance clearance;
    const char* type;
  };
  const auto to = [&](const char* traits) { return cleared(v1::CHANNEL_EMAIL, traits); };
  const std::string secret_name = "Sophonisba";
  const auto with_name = (R"({"email":"a@b.example","first_name":")" + secret_name + R"("})");
  const Case cases[] = {
      {mail, plain, to("{}"), "no-address"},
      {mail, plain, to(""), "no-address"},
      {mail, plain, to(R"({"email":null})"), "no-address"},
      {mail, plain, to(R"({"email":""})"), "no-address"},
      {mail, plain, to(R"({"email":7})"), "invalid-email"},
      {mail, plain, to(R"({"email":"Sophonisba"})"), "invalid-email"},
      {mail, plain, to(R"({"email":"Sophonisba@x.example\r\nBcc: y@z.example"})"), "invalid-email"},
      {mail, plain, to("[1]"), "invalid-clearance"},
      {mail, plain, to("{"), "invalid-clearance"},
      {mail, email("{{ customer.none }}", "t", ""), to(with_name.c_str()), "invalid-subject"},
      {mail, email("{% for i in (1..999) %}xx{% endfor %}", "t", ""), to(with_name.c_str()),
       "invalid-subject"},
      {mail, email("s", "{{ customer.none }}", ""), to(with_name.c_str()), "empty-body"},
      {mail, email("s", "{% for i in (1..9999999) %}{{ customer.first_name }}{% endfor %}", ""),
       to(with_name.c_str()), "template-failed"},
      {mail, webhook(""), to(with_name.c_str()), "wrong-channel"},
      {mail, plain, cleared(v1::CHANNEL_WEBHOOK, with_name.c_str()), "wrong-channel"},
      {hook, webhook(""), to(with_name.c_str()), "wrong-channel"},
      {hook, webhook("{{ customer.first_name }}"), cleared(v1::CHANNEL_WEBHOOK, with_name.c_str()),
       "invalid-body"},
      {hook, webhook("{} {}"), cleared(v1::CHANNEL_WEBHOOK, "{}"), "invalid-body"},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.type));
    CAPTURE(c.clearance.traits());
    const auto made = make_request(c.account, c.content, "m", c.clearance, kNow);
    REQUIRE_FALSE(made);
    CHECK(made.error().type == c.type);
    CHECK(made.error().detail.find(secret_name) == std::string::npos);
  }
}

TEST_CASE("addresses of mailboxes") {
  for (const auto* good :
       {"a@b.co", "ann.o'neil+x@mail.example.com", "x_y@1-2.example", "!#$%&*/=?^`{|}~@a.bc"}) {
    CAPTURE(std::string(good));
    CHECK(is_email(good));
  }
  for (const std::string& bad : {std::string(""),
                                 std::string("@"),
                                 std::string("a"),
                                 std::string("a@"),
                                 std::string("a@b"),
                                 std::string("@b.co"),
                                 std::string(".a@b.co"),
                                 std::string("a.@b.co"),
                                 std::string("a..b@c.co"),
                                 std::string("a b@c.co"),
                                 std::string("a@b..co"),
                                 std::string("a@-b.co"),
                                 std::string("a@b-.co"),
                                 std::string("a@b.co."),
                                 std::string("a@.b.co"),
                                 std::string("a@[1.2.3.4]"),
                                 std::string("a@1.2.3.4"),
                                 std::string("a@b.co\n"),
                                 std::string("<a@b.co>"),
                                 std::string("a@b.co,c@d.co"),
                                 std::string("\"a\"@b.co"),
                                 std::string("a@b@c.co"),
                                 std::string(65, 'a') + "@b.co",
                                 "a@" + std::string(64, 'b') + ".co",
                                 "a@" + std::string(260, 'b') + ".co",
                                 std::string("a\0@b.co", 7),
                                 std::string("\xc3\xa4@b.co"),
                                 std::string("a@b\xc3\xa4.co")}) {
    CAPTURE(bad);
    CHECK_FALSE(is_email(bad));
  }
}

TEST_CASE("Retry-After is seconds or a date, and believed within bounds") {
  const auto hook = account(false);
  const auto pause = [&](const std::string& field) {
    return judge(hook, {.status = 429, .retry_after = field, .sent = true}, kNow).report.after;
  };
  using std::chrono::seconds;
  CHECK(pause("") == seconds(0));
  CHECK(pause("120") == seconds(120));
  CHECK(pause("0") == seconds(1));
  CHECK(pause("99999999999999999999999") == seconds(86'400));
  CHECK(pause("Mon, 24 Nov 2025 16:00:30 GMT") == seconds(30));
  CHECK(pause("Mon, 24 Nov 2025 15:00:30 GMT") == seconds(1));
  CHECK(pause("-5") == seconds(1));
  CHECK(pause("soon") == seconds(1));
}

TEST_CASE("what SendGrid complains of is told, without the key that it may say back") {
  const auto mail = account(true);
  const auto complaint = [&](const std::string& body) {
    return judge(mail, {.status = 400, .body = body, .sent = true}, kNow).error.detail;
  };
  CHECK(complaint(R"({"errors":[{"message":"Bad.","field":"from.email","help":null}]})") ==
        "The receiver answered 400: from.email: Bad.");
  CHECK(complaint(R"({"errors":[{"message":"Unknown","field":null}]})") ==
        "The receiver answered 400: Unknown.");
  for (const auto* nothing :
       {"", "<html>", "{}", "[]", R"({"errors":[]})", R"({"errors":["x"]})", R"({"errors":[{}]})"})
    CHECK(complaint(nothing) == "The receiver answered 400.");
  const auto echo = complaint(std::string(R"({"errors":[{"message":"Your key )") + test::kApiKey + " and " +
                              test::kApiKey + R"(\nis bad","field":"x"}]})");
  CHECK(echo.find(test::kApiKey) == std::string::npos);
  CHECK(echo.find('\n') == std::string::npos);
  CHECK(complaint(R"({"errors":[{"message":")" + std::string(5000, 'x') + R"("}]})").size() < 300);
}

}  // namespace cx::channels
