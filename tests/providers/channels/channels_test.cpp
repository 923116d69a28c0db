#include "providers/channels/channels.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <deque>
#include <mutex>

#include "providers/channels/catalog.hpp"
#include "runtime/entity/messages.hpp"
#include "tests/providers/channels/vendor.hpp"

namespace cx::channels {
namespace {

using Settle = v1::SettleMessage;
constexpr char kCustomer[] = "customer/acme/c-1";

/// Every customer: clears messages as it was told to, and remembers how they were settled.
class Customers final : public Router {
 public:
  explicit Customers(caf::actor_system& system)
      : region_(system.spawn([this](caf::event_based_actor* self) {
          return caf::behavior{[this, self](const cx::Request& request) -> caf::result<MessagePtr> {
            static_cast<void>(self);
            const std::lock_guard lock(mutex_);
            if (const auto* ask = dynamic_cast<const v1::ClearMessage*>(request.command.get()))
              return clear(*ask);
            const auto& settle = dynamic_cast<const Settle&>(*request.command);
            if (refusals-- > 0) return to_caf({Code::unavailable, "unavailable", "not now", ""});
            settled.push_back(settle);
            return MessagePtr(std::make_shared<v1::MessageSettled>());
          }};
        })) {}
  ~Customers() override { caf::anon_send_exit(region_, caf::exit_reason::user_shutdown); }

  Result<cx::Request> request(std::string_view address, MessagePtr command) const override {
    cx::Request request;
    request.to = address;
    request.command = std::move(command);
    return request;
  }
  const caf::actor& region(std::uint32_t) const override { return region_; }

  std::mutex mutex_;
  v1::Clearance go;
  std::deque<v1::Clearance::Verdict> verdicts;  // the next ones; GO after them
  bool unavailable = false;
  int refusals = 0;  // of SettleMessage
  int asked = 0;
  std::vector<Settle> settled;

 private:
  caf::result<MessagePtr> clear(const v1::ClearMessage&) {
    ++asked;
    if (unavailable) return to_caf({Code::unavailable, "unavailable", "not now", ""});
    auto clearance = std::make_shared<v1::Clearance>(go);
    if (!verdicts.empty()) {
      clearance->set_verdict(verdicts.front());
      clearance->set_rule("consent");
      verdicts.pop_front();
    }
    return MessagePtr(std::move(clearance));
  }

  caf::actor region_;
};

struct Fixed final : Accounts {
  std::shared_ptr<const Account> account(std::string_view tenant, std::string_view id) const override {
    const auto found = accounts.find(std::string(tenant) + '/' + std::string(id));
    return found == accounts.end() ? nullptr : found->second;
  }
  std::shared_ptr<const Content> content(std::string_view, std::string_view id) const override {
    const auto found = contents.find(std::string(id));
    return found == contents.end() ? nullptr : found->second;
  }
  ByName<Account> accounts;
  ByName<Content> contents;
};

v1::ChannelsConfig config() {
  v1::ChannelsConfig made;
  made.set_max_queue(1000);
  made.set_channel_queue(1000);
  made.set_in_flight(64);
  made.set_breaker_failures(0);
  made.set_breaker_pause_ms(20);
  made.set_backoff_ms(1);
  made.add_allow_private("127.0.0.0/8");
  return made;
}

struct Fixture {
  explicit Fixture(const v1::ChannelsConfig& c = config(), std::uint32_t attempts = 3,
                   std::uint32_t timeout_ms = 300)
      : customers(system) {
    v1::ChannelAccount account;
    account.mutable_webhook()->set_url(vendor.hook("a"));
    account.mutable_webhook()->set_secret(test::kSecret);
    account.set_attempts(attempts);
    account.set_timeout_ms(timeout_ms);
    store("hook", account);
    account.mutable_sendgrid()->set_api_key(test::kApiKey);
    account.clear_webhook();
    account.mutable_sendgrid()->set_from_email("news@acme.example");
    account.mutable_sendgrid()->set_endpoint(vendor.url());
    store("mail", account);
    account.mutable_sendgrid()->set_api_key("SG.another-key");
    store("wrong-key", account);
    v1::MessageTemplate content;
    content.mutable_webhook()->set_body(R"({"hello":{{ customer.id | json }}})");
    accounts.contents["hello"] = std::make_shared<const Content>(*compile(content));
    content.mutable_email()->set_subject("Hello");
    content.mutable_email()->set_text("{{ customer.id }}");
    content.clear_webhook();
    accounts.contents["hello-mail"] = std::make_shared<const Content>(*compile(content));

    customers.go.set_verdict(v1::Clearance::GO);
    customers.go.set_channel(v1::CHANNEL_WEBHOOK);
    customers.go.set_template_("hello");
    customers.go.set_customer_id("c-1");
    customers.go.set_traits(R"({"email":"ann@example.com"})");

    auto spawned = spawn_channels(system, {.config = c,
                                           .customers = customers,
                                           .accounts = accounts,
                                           .clock = clock,
                                           .seed = 7,
                                           .metrics = metrics,
                                           .probe = probe,
                                           .now_us = [] { return std::int64_t{5'000'000}; }});
    REQUIRE(spawned);
    endpoint = *spawned;
  }
  ~Fixture() {
    caf::anon_send_exit(endpoint, caf::exit_reason::user_shutdown);
    caf::scoped_actor(system)->wait_for(endpoint);
  }

  void store(const std::string& id, const v1::ChannelAccount& account) {
    auto compiled = compile(account);
    REQUIRE(compiled);
    accounts.accounts["acme/" + id] = std::make_shared<const Account>(std::move(*compiled));
  }
  static Letter letter(const std::string& via, const std::string& message,
                       const std::string& customer = kCustomer) {
    auto dispatch = std::make_shared<v1::DispatchMessage>();
    dispatch->set_message_id(message);
    dispatch->set_customer(customer);
    dispatch->set_caused_at(4'000'000);
    return {"channel/acme/" + via, customer, dispatch, "1-2-3"};
  }
  /// Nothing when the letter is done with.
  std::optional<Error> dispatch(const Letter& letter) {
    std::optional<Error> out;
    caf::scoped_actor self(system);
    self->request(endpoint, std::chrono::seconds(30), letter)
        .receive([] {}, [&](const caf::error& error) { out = from_caf(error); });
    return out;
  }
  Settle settle(const std::string& via, const std::string& message = "m-1") {
    const auto error = dispatch(letter(via, message));
    CHECK_FALSE(error);
    const std::lock_guard lock(customers.mutex_);
    REQUIRE(customers.settled.size() == 1);
    return customers.settled[0];
  }
  void mail() {
    customers.go.set_channel(v1::CHANNEL_EMAIL);
    customers.go.set_template_("hello-mail");
  }

  test::Vendor vendor;
  SystemClock clock;
  Metrics metrics{"n1"};
  Probe probe;
  Fixed accounts;
  caf::actor_system_config system_config;
  caf::actor_system system{system_config};
  Customers customers;
  caf::actor endpoint;
};

}  // namespace

TEST_CASE("a message that may leave leaves once, and its customer is told") {
  Fixture f;
  const auto settled = f.settle("hook");
  CHECK(settled.message_id() == "m-1");
  CHECK(settled.outcome() == Settle::SENT);
  CHECK(settled.attempts() == 1);
  const auto messages = f.vendor.messages("/hooks/a");
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].at("id") == "m-1");
  CHECK(messages[0].at("body") == R"({"hello":"c-1"})");
  CHECK(messages[0].at("signature") == "ok");
  CHECK(messages[0].at("times") == 1);
  CHECK(f.probe.sent.value() == 1);
  CHECK(f.probe.handover_ns.read().count() == 1);
  CHECK(f.probe.handover_ns.read().percentile(50) >= 1'000'000'000);
  add_metrics(f.metrics, f.probe);
  const auto text = f.metrics.prometheus_text();
  CHECK(text.find(R"(cx_messages_total{outcome="sent"} 1)") != text.npos);
  CHECK(text.find(R"(cx_event_to_channel_seconds{quantile="0.99"})") != text.npos);
}

TEST_CASE("an e-mail leaves by SendGrid, with the vendor's name for it") {
  Fixture f;
  f.mail();
  const auto settled = f.settle("mail");
  CHECK(settled.outcome() == Settle::SENT);
  CHECK(settled.vendor_id() == "sim-1");
  CHECK(f.vendor.messages("/v3/mail/send")[0].at("id") == "m-1");
}

TEST_CASE("whatever a receiver does, the message is settled as it happened, under one id") {
  struct Case {
    const char* behaviour;
    Settle::Outcome outcome;
    const char* reason;
    std::uint32_t attempts;
    int times, accepted;  // of the one message at the vendor
  };
  const Case cases[] = {
      {"'mode':'throttle','count':1,'retry_after':1", Settle::SENT, "", 2, 2, 1},
      {"'mode':'throttle','count':2", Settle::SENT, "", 3, 3, 1},
      {"'mode':'error','count':2", Settle::SENT, "", 3, 3, 1},
      {"'mode':'error'", Settle::FAILED, "http-503", 3, 3, 0},
      {"'mode':'error','status':400", Settle::FAILED, "http-400", 1, 1, 0},
      {"'mode':'error','status':410", Settle::FAILED, "http-410", 1, 1, 0},
      {"'mode':'redirect'", Settle::FAILED, "http-302", 1, 1, 0},
      {"'mode':'hang','count':1", Settle::SENT, "", 2, 2, 1},
      {"'mode':'hang'", Settle::UNKNOWN, "no-response", 3, 3, 0},
      {"'mode':'reset','count':1", Settle::SENT, "", 2, 2, 1},
      {"'mode':'reset'", Settle::UNKNOWN, "no-response", 3, 3, 0},
      {"'mode':'accept-then-fail','count':1", Settle::SENT, "", 2, 2, 2},
      {"'mode':'duplicate','count':1", Settle::SENT, "", 2, 2, 2},
      {"'mode':'slow','delay_ms':60000", Settle::SENT, "", 1, 1, 1},
      {"'mode':'huge'", Settle::SENT, "", 1, 1, 1},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.behaviour));
    Fixture f;
    f.vendor.behave(std::string("{'path':'/hooks/a',") + c.behaviour + "}");
    const auto settled = f.settle("hook");
    CHECK(settled.outcome() == c.outcome);
    CHECK(settled.reason() == c.reason);
    CHECK(settled.attempts() == c.attempts);
    CHECK(f.customers.asked == static_cast<int>(c.attempts));  // cleared anew each time
    const auto messages = f.vendor.messages("/hooks/a");
    REQUIRE(messages.size() == 1);
    CHECK(messages[0].at("id") == "m-1");
    CHECK(messages[0].at("times") == c.times);
    CHECK(messages[0].at("accepted") == c.accepted);
    CHECK(messages[0].at("same_body") == true);
    CHECK(messages[0].at("signature") == "ok");
    CHECK(settled.ShortDebugString().find("whsec") == std::string::npos);
  }
}

TEST_CASE("an unknown outcome stays so, whatever a later attempt says") {
  Fixture f;
  f.vendor.behave("{'path':'/hooks/a','mode':'reset','count':1}");
  f.customers.verdicts = {v1::Clearance::GO, v1::Clearance::REFUSED};  // opted out in between
  const auto settled = f.settle("hook");
  CHECK(settled.outcome() == Settle::UNKNOWN);
  CHECK(settled.reason() == "consent");
}

TEST_CASE("what the clearance says is done, and nothing leaves") {
  struct Case {
    v1::Clearance::Verdict verdict;
    Settle::Outcome outcome;
  };
  for (const auto& c :
       {Case{v1::Clearance::REFUSED, Settle::REFUSED}, Case{v1::Clearance::DEFERRED, Settle::DEFERRED}}) {
    Fixture f;
    f.customers.verdicts = {c.verdict};
    const auto settled = f.settle("hook");
    CHECK(settled.outcome() == c.outcome);
    CHECK(settled.reason() == "consent");
    CHECK(f.vendor.messages("/hooks/a").empty());
  }
  Fixture f;
  f.customers.verdicts = {v1::Clearance::GONE};
  CHECK_FALSE(f.dispatch(Fixture::letter("hook", "m-1")));
  CHECK(f.customers.settled.empty());
  CHECK(f.probe.gone.value() == 1);
}

TEST_CASE("an opt-out between two attempts stops the message") {
  Fixture f;
  f.vendor.behave("{'path':'/hooks/a','mode':'error'}");
  f.customers.verdicts = {v1::Clearance::GO, v1::Clearance::REFUSED};
  const auto settled = f.settle("hook");
  CHECK(settled.outcome() == Settle::REFUSED);
  CHECK(settled.attempts() == 2);
  CHECK(f.vendor.messages("/hooks/a")[0].at("times") == 1);
}

TEST_CASE("what can never leave fails at once") {
  struct Case {
    const char* via;
    const char* content;
    const char* reason;
  };
  for (const auto& c : {Case{"none", "hello", "no-such-channel"}, Case{"hook", "none", "no-such-template"},
                        Case{"mail", "hello", "wrong-channel"}}) {
    CAPTURE(std::string(c.reason));
    Fixture f;
    f.customers.go.set_template_(c.content);
    const auto settled = f.settle(c.via);
    CHECK(settled.outcome() == Settle::FAILED);
    CHECK(settled.reason() == c.reason);
    CHECK(settled.attempts() == 1);
  }
  Fixture f;
  f.mail();
  f.customers.go.set_traits("{}");
  CHECK(f.settle("mail").reason() == "no-address");
}

TEST_CASE("a wrong key fails, and is in nothing that is kept") {
  Fixture f;
  f.mail();
  const auto settled = f.settle("wrong-key");
  CHECK(settled.outcome() == Settle::FAILED);
  CHECK(settled.reason() == "http-401");
  CHECK(settled.ShortDebugString().find("SG.") == std::string::npos);
}

TEST_CASE("a customer that cannot be asked gets its letter again; one that cannot be told is told again") {
  {
    Fixture f;
    f.customers.unavailable = true;
    const auto error = f.dispatch(Fixture::letter("hook", "m-1"));
    REQUIRE(error);
    CHECK(error->code == Code::unavailable);
    CHECK(f.vendor.messages("/hooks/a").empty());
    CHECK(f.probe.returned.value() == 1);
  }
  Fixture f;
  f.customers.refusals = 3;
  CHECK(f.settle("hook").outcome() == Settle::SENT);
  CHECK(f.vendor.messages("/hooks/a")[0].at("times") == 1);
}

TEST_CASE("letters that make no sense are refused for good") {
  Fixture f;
  auto strange = Fixture::letter("hook", "m-1");
  strange.command = std::make_shared<v1::MessageSettled>();
  for (const auto& letter :
       {strange, Fixture::letter("hook", ""), Fixture::letter("hook", "m-1", "customer/other/c-1"),
        Fixture::letter("hook", "m-1", "nobody")}) {
    const auto error = f.dispatch(letter);
    REQUIRE(error);
    CHECK(error->type == "invalid-dispatch");
  }
  CHECK(f.customers.asked == 0);
}

TEST_CASE("past its bound the queue refuses; the same message twice is sent once") {
  auto small = config();
  small.set_max_queue(2);
  Fixture f(small, 3, 60'000);
  f.vendor.behave("{'path':'/hooks/a','mode':'hang'}");
  caf::scoped_actor self(f.system);
  auto first = self->request(f.endpoint, caf::infinite, Fixture::letter("hook", "m-1"));
  self->send(f.endpoint, Fixture::letter("hook", "m-1"));
  const auto error = f.dispatch(Fixture::letter("hook", "m-2"));
  REQUIRE(error);
  CHECK(error->code == Code::overloaded);
  while (f.vendor.messages("/hooks/a").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(f.vendor.messages("/hooks/a")[0].at("times") == 1);
  // What has no answer when the actor ends comes again, from the outbox.
  caf::anon_send_exit(f.endpoint, caf::exit_reason::user_shutdown);
  bool failed = false;
  first.receive([] {}, [&](const caf::error&) { failed = true; });
  CHECK(failed);
}

TEST_CASE("before a planned end what is under way is finished, and the rest comes again") {
  auto one_at_a_time = config();
  one_at_a_time.set_in_flight(1);
  Fixture f(one_at_a_time, 3, 10'000);
  f.vendor.behave("{'path':'/hooks/a','mode':'ok','delay_ms':100}");
  caf::scoped_actor self(f.system);
  auto under_way = self->request(f.endpoint, caf::infinite, Fixture::letter("hook", "m-1"));
  auto waits = self->request(f.endpoint, caf::infinite, Fixture::letter("hook", "m-2"));
  while (f.vendor.messages("/hooks/a").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::promise<void> drained;
  drain_channels(f.endpoint, [&] { drained.set_value(); });
  const auto late = f.dispatch(Fixture::letter("hook", "m-3"));
  REQUIRE(late);
  CHECK(late->code == Code::unavailable);
  drained.get_future().wait();
  CHECK(f.customers.settled.size() == 1);
  bool sent = false;
  under_way.receive([&] { sent = true; }, [](const caf::error&) {});
  CHECK(sent);
  std::optional<Error> returned;
  waits.receive([] {}, [&](const caf::error& error) { returned = from_caf(error); });
  REQUIRE(returned);
  CHECK(returned->code == Code::unavailable);
  CHECK(f.vendor.messages("/hooks/a").size() == 1);
}

TEST_CASE("a thousand messages while the vendor misbehaves: each arrives, duplicates under one id only") {
  auto eager = config();
  eager.set_breaker_failures(10);
  eager.set_max_queue(4000);
  eager.set_channel_queue(4000);
  Fixture f(eager, 100, 200);
  f.vendor.behave("{'path':'/hooks/a','mode':'duplicate','share':0.2}");
  constexpr int kMany = 1000;
  std::atomic<int> done{0};
  auto client = f.system.spawn([&](caf::event_based_actor* self) {
    for (int i = 0; i < kMany; ++i)
      self->request(f.endpoint, caf::infinite, Fixture::letter("hook", "m-" + std::to_string(i)))
          .then([&] { ++done; }, [](const caf::error&) {});
  });
  for (int i = 0; i < 6000 && done < kMany; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  REQUIRE(done == kMany);
  const auto counts = f.vendor.counts("/hooks/a");
  CHECK(counts.at("messages") == kMany);
  CHECK(counts.at("bad_signatures") == 0);
  CHECK(f.customers.settled.size() == kMany);
  for (const auto& settled : f.customers.settled) CHECK(settled.outcome() == Settle::SENT);
  MESSAGE("duplicates of ", kMany, ": ", boost::json::serialize(counts.at("duplicates")));
}

TEST_CASE("a configuration that names no host is refused") {
  caf::actor_system_config system_config;
  Metrics metrics("n1");
  Probe probe;
  caf::actor_system system(system_config);
  Customers customers(system);
  Fixed accounts;
  SystemClock clock;
  auto wrong = config();
  wrong.add_allow_private("everything");
  const auto spawned = spawn_channels(system, {wrong, customers, accounts, clock, 1, metrics, probe});
  REQUIRE_FALSE(spawned);
  CHECK(spawned.error().type == "invalid-private-host");
}

}  // namespace cx::channels
