#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "actors/customer/person.hpp"
#include "runtime/json.hpp"
#include "tests/actors/customer/driver.hpp"

namespace cx::test {
namespace {

std::string trait(const Driver& d, const std::string& name) {
  const auto* found = find_trait(d.person(), name);
  return found == nullptr || !has_value(*found) ? "" : found->json();
}
std::uint64_t count(const Driver& d, const std::string& name) {
  const auto* found = find_event(d.person(), name);
  return found == nullptr ? 0 : found->count();
}

}  // namespace

TEST_CASE("an event of the same source and id is taken once in 24 hours at least") {
  Driver d;
  CHECK(d.take(track("Order Completed", "e-1")));
  CHECK_FALSE(d.take(track("Order Completed", "e-1")));
  CHECK_FALSE(d.take(identify(R"({"plan":"gold"})", "e-1")));
  auto other = track("Order Completed", "e-1");
  other.set_source("key/2");
  CHECK(d.take(other));
  CHECK(count(d, "Order Completed") == 2);
  CHECK(d.person().entries() == 2);

  d.now += kHour - 1;  // noted in the hour of the first
  CHECK(d.take(track("Order Completed", "e-2")));
  d.now += kDay;
  CHECK_FALSE(d.take(track("Order Completed", "e-2")));
  d.now += kDay + kHour;
  CHECK(d.take(track("Order Completed", "e-2")));
  CHECK(d.person().seen_size() == 1);  // and what is older is forgotten
  d.now -= 10 * kDay;                  // a clock that is set back
  CHECK_FALSE(d.take(track("Order Completed", "e-2")));
  CHECK(d.take(track("Order Completed", "e-3")));
  CHECK(d.person().seen_size() == 1);
}

TEST_CASE("property: however often and in whatever order events come, traits and counts are the same") {
  const bool held = rc::check([] {
    struct Sent {
      v1::TakeEvent event;
      std::string value;
    };
    std::vector<v1::TakeEvent> events;
    std::map<std::string, std::pair<std::int64_t, std::string>> newest;
    const auto n = *rc::gen::inRange(1, 30);
    for (int i = 0; i < n; ++i) {
      const auto at = kNow - 1'000 * n + i * 1'000;  // no two of one time
      if (*rc::gen::inRange(0, 3) == 0) {
        events.push_back(track("Order Completed", "e-" + std::to_string(i), at));
        continue;
      }
      const auto name = *rc::gen::element(std::string("plan"), std::string("a \"b\""), std::string("zip"));
      const auto value = *rc::gen::element(std::string("null"), std::string("12.5"), std::string("\"x\""),
                                           std::string("{\"deep\":[1,2]}"), std::string("9007199254740993"));
      std::string quoted;
      append_json(quoted, name);
      events.push_back(identify("{ " + quoted + " : " + value + " }", "e-" + std::to_string(i), at));
      newest[name] = {at, value};
    }
    Driver d;
    const auto orders = *rc::gen::inRange(1, 4);
    for (int i = 0; i < orders; ++i) {
      const auto order = *rc::gen::exec([&] {
        auto shuffled = events;
        for (std::size_t k = shuffled.size(); k > 1; --k)
          std::swap(shuffled[k - 1], shuffled[*rc::gen::inRange<std::size_t>(0, k)]);
        return shuffled;
      });
      for (const auto& event : order) {
        d.now += *rc::gen::inRange<std::int64_t>(0, kMinute);
        RC_ASSERT(d.take(event) == (i == 0));
      }
    }
    for (const auto& [name, told] : newest)
      RC_ASSERT(trait(d, name) == (told.second == "null" ? "" : told.second));
    const auto tracked = std::count_if(events.begin(), events.end(),
                                       [](const auto& e) { return e.type() == v1::EVENT_TYPE_TRACK; });
    RC_ASSERT(count(d, "Order Completed") == static_cast<std::uint64_t>(tracked));
    RC_ASSERT(count(d, "identify") == static_cast<std::uint64_t>(n - tracked));
    RC_ASSERT(d.person().entries() == static_cast<std::uint64_t>(n));
  });
  CHECK(held);
}

TEST_CASE("of two events of one time the later one tells a trait") {
  Driver d;
  d.take(identify(R"({"plan":"gold"})", "e-1"));
  d.take(identify(R"({"plan":"free"})", "e-2"));
  CHECK(trait(d, "plan") == "\"free\"");
  d.take(identify(R"({"plan":"none"})", "e-3", kNow - 1));
  CHECK(trait(d, "plan") == "\"free\"");
}

TEST_CASE("events are counted by their name, with the first and last time that they happened") {
  Driver d;
  d.take(track("Order Completed", "1", kNow - 5));
  d.take(track("Order Completed", "2", kNow - 50));
  d.take(track("Order Completed", "3", kNow - 20));
  const auto* event = find_event(d.person(), "Order Completed");
  REQUIRE(event);
  CHECK(event->count() == 3);
  CHECK(event->first() == kNow - 50);
  CHECK(event->last() == kNow - 5);
  for (const auto& [type, name] : {std::pair{v1::EVENT_TYPE_PAGE, "page"},
                                   {v1::EVENT_TYPE_SCREEN, "screen"},
                                   {v1::EVENT_TYPE_GROUP, "group"},
                                   {v1::EVENT_TYPE_IDENTIFY, "identify"}}) {
    auto command = track("Home", name);
    command.set_type(type);
    CHECK(d.take(command));
    CHECK(count(d, name) == 1);
  }
  auto alias = track("", "9");
  alias.set_type(v1::EVENT_TYPE_ALIAS);
  CHECK(d.take(alias));
  CHECK(count(d, "Home") == 0);
  CHECK(d.person().events_size() == 5);
  CHECK(d.person().entries() == 8);
}

TEST_CASE("what goes beyond the bounds is left out, and the event is taken all the same") {
  Driver d;
  std::string many = "{";
  for (int i = 0; i < 250; ++i) many += fmt::format("{}\"t{:03}\":{}", i == 0 ? "" : ",", i, i);
  CHECK(d.take(identify(many + "}", "1")));
  CHECK(d.person().traits_size() == kMostTraits);
  CHECK(d.view().left_out() == 50);
  CHECK(d.take(identify(R"({"t000":"new","zz":1})", "2", kNow + 1)));
  CHECK(trait(d, "t000") == "\"new\"");
  CHECK(trait(d, "zz").empty());
  CHECK(d.take(identify("{\"t001\":\"" + std::string(kMostTraitBytes, 'x') + "\"}", "3", kNow + 2)));
  CHECK(trait(d, "t001") == "1");
  CHECK(d.take(identify("{\"t001\":\"" + std::string(kMostTraitBytes - 2, 'x') + "\"}", "4", kNow + 2)));
  CHECK(trait(d, "t001").size() == kMostTraitBytes);
  CHECK(d.view().left_out() == 52);

  for (int i = 0; i < 600; ++i) CHECK(d.take(track("event " + std::to_string(i), "x" + std::to_string(i))));
  CHECK(d.person().events_size() == kMostEventNames);
  CHECK(d.view().left_out() == 52 + 101);  // "identify" is one of them
  CHECK(d.take(track("event 1", "y")));
  CHECK(count(d, "event 1") == 2);
}

TEST_CASE("properties that are no object, or no JSON at all, tell nothing and harm nothing") {
  Driver d;
  int n = 0;
  for (const std::string& json :
       {std::string(), std::string("[1]"), std::string("{"), std::string("{\"a\":}"), std::string("\xff\xfe"),
        std::string("{\"a\":1}}"), std::string(5'000, '['), std::string("{\"a\":\"\xff\"}"),
        std::string(1, '\0')}) {
    auto event = identify(json, std::to_string(++n));
    event.set_context(json);
    CHECK(d.take(event));
    auto seen = track("x", "t" + std::to_string(n));
    seen.set_properties(json);
    seen.set_context("{\"timezone\":" + json);
    CHECK(d.take(seen));
  }
  CHECK(d.person().traits().empty());
  CHECK(d.person().geo_zone().empty());
}

TEST_CASE("the zone that an event comes from is kept if there is such a zone") {
  Driver d;
  const auto from = [&](const std::string& zone) {
    static int n = 0;
    auto event = track("x", "z" + std::to_string(++n));
    event.set_context("{\"ip\":\"::1\",\"timezone\":" + zone + "}");
    d.take(event);
    return d.person().geo_zone();
  };
  CHECK(from("\"Mars/Olympus\"").empty());
  CHECK(from("\"Asia/Jakarta\"") == "Asia/Jakarta");
  CHECK(from("5") == "Asia/Jakarta");
  CHECK(from("\"Europe/Berlin\"") == "Europe/Berlin");
  CHECK(d.view().time_zone() == "Europe/Berlin");
  CHECK(d.view().time_zone_basis() == "geo");
}

TEST_CASE("a customer with 100,000 events in a day is busy, and has room again when they are old") {
  Driver d;
  // As a state that has them, since taking them one by one takes long.
  v1::CustomerEvent event;
  auto& taken = *event.mutable_taken();
  taken.set_received(kNow);
  taken.set_id(std::string(16 * (kMostEvents - 1), 'i'));
  event.set_number(1);
  v1::CustomerState state;
  Customer::apply(state, event);
  Context context;
  context.now = kNow;
  context.key = "c-1";
  const Customer customer{demo_profile, 1};
  const auto last = customer.handle(state, track("x", "1"), context);
  REQUIRE(last);
  Customer::apply(state, last->events.front());
  const auto busy = customer.handle(state, track("x", "2"), context);
  REQUIRE_FALSE(busy);
  CHECK(busy.error().type == "customer-busy");
  CHECK(busy.error().code == Code::rate_limited);
  CHECK(customer.handle(state, track("x", "1"), context)->reply.duplicate());
  context.now += 25 * kHour;
  CHECK(customer.handle(state, track("x", "2"), context));
}

TEST_CASE("what is known is shown, and of nobody nothing") {
  Driver d;
  CHECK(d.error(v1::GetCustomer()) == "no-such-customer");
  CHECK(d.error(v1::GetEntries()) == "no-such-customer");
  d.take(identify(R"({"plan":"gold","n":9007199254740993,"gone":1,"o":{"l":[1.5,true,null]}})", "1"));
  d.now += kMinute;
  d.take(identify(R"({"gone":null})", "2", kNow + 5));
  const auto view = d.view();
  CHECK(view.customer_id() == "c-1");
  CHECK(view.traits().fields_size() == 3);
  CHECK(view.traits().fields().at("plan").string_value() == "gold");
  CHECK(view.traits().fields().at("o").struct_value().fields().at("l").list_value().values_size() == 3);
  CHECK(view.events_size() == 1);
  CHECK(view.events(0).count() == 2);
  CHECK(view.first_seen().seconds() == kNow / 1'000);
  CHECK(view.last_seen().seconds() == kNow / 1'000 + 60);
  CHECK(view.entries() == 2);
  CHECK(view.time_zone() == "UTC");
  const auto entries = d.ask<v1::Entries>(v1::GetEntries());
  CHECK(entries.count() == 2);
  CHECK(entries.last_at() == kNow + kMinute);
}

TEST_CASE("consents and suppressions: what is given, taken back, and wrong") {
  Driver d;
  v1::SetCustomerConsent consent;
  consent.set_purpose("marketing");
  consent.set_channel(v1::CHANNEL_EMAIL);
  consent.set_granted(true);
  consent.set_origin("signup form v3");
  auto view = d.ask<v1::CustomerView>(consent);
  REQUIRE(view.consents_size() == 1);
  CHECK(view.consents(0).granted());
  CHECK(view.consents(0).origin() == "signup form v3");
  CHECK(view.consents(0).at().seconds() == kNow / 1'000);
  d.now += kSecond;
  consent.set_granted(false);
  view = d.ask<v1::CustomerView>(consent);
  REQUIRE(view.consents_size() == 1);
  CHECK_FALSE(view.consents(0).granted());
  CHECK(view.entries() == 2);
  consent.set_channel(v1::CHANNEL_UNSPECIFIED);
  CHECK(d.error(consent) == "invalid-channel");
  consent.set_channel(static_cast<v1::Channel>(99));
  CHECK(d.error(consent) == "invalid-channel");
  consent.set_channel(v1::CHANNEL_SMS);
  consent.set_purpose("Not a name");
  CHECK(d.error(consent) == "invalid-purpose");
  for (int i = 0; d.person().consents_size() < kMostConsents; ++i) {
    consent.set_purpose("p" + std::to_string(i));
    REQUIRE(d.send(consent));
  }
  consent.set_purpose("one-more");
  CHECK(d.error(consent) == "too-many-consents");

  v1::SuppressCustomer suppress;
  CHECK(d.error(suppress) == "invalid-reason");
  suppress.set_reason(v1::SUPPRESSION_REASON_COMPLAINED);
  suppress.mutable_until()->set_seconds(d.now / 1'000);
  CHECK(d.error(suppress) == "invalid-time");
  suppress.mutable_until()->set_seconds(1LL << 60);
  CHECK(d.error(suppress) == "invalid-time");
  suppress.mutable_until()->set_seconds(d.now / 1'000 + 10);
  CHECK(d.ask<v1::CustomerView>(suppress).suppressions_size() == 1);
  suppress.set_channel(v1::CHANNEL_SMS);
  suppress.clear_until();
  CHECK(d.ask<v1::CustomerView>(suppress).suppressions_size() == 2);
  CHECK(d.ask<v1::CustomerView>(suppress).suppressions_size() == 2);  // the same again
  d.now += 10 * kSecond;
  CHECK(d.view().suppressions_size() == 1);
  v1::UnsuppressCustomer unsuppress;
  unsuppress.set_channel(v1::CHANNEL_SMS);
  CHECK(d.ask<v1::CustomerView>(unsuppress).suppressions_size() == 0);
  const auto entries = d.person().entries();
  CHECK(d.ask<v1::CustomerView>(unsuppress).entries() == entries);  // there was nothing to do
}

TEST_CASE("an idle customer with 5 traits and 3 events is small, and bids alone make nobody a person") {
  Driver d;
  v1::ReserveImpressions bid;
  bid.set_count(1);
  bid.mutable_cap()->set_per_hour(3);
  bid.mutable_cap()->set_per_day(3);
  REQUIRE(d.send(bid));
  CHECK_FALSE(d.state().has_person());
  CHECK(d.view().entries() == 0);  // known all the same
  const auto before = d.bytes();
  d.take(identify(
      R"({"email":"jane.doe@example.com","first_name":"Jane","plan":"gold","city":"Berlin","age":41})", "1"));
  d.take(track("Product Viewed", "2"));
  d.take(track("Order Completed", "3"));
  Driver idle;  // as it is when it has been read from disk
  MESSAGE("bytes of a customer with a bid: " << before << "; as a person besides: " << d.bytes() - before
                                             << "; on disk: " << d.state().ByteSizeLong());
  CHECK(d.bytes() - before < 3'000);
}

}  // namespace cx::test
