#include "drive.hpp"

namespace cx::test {
namespace {

// Journeys as people build them, through weeks of virtual time.

constexpr const char* kWelcome = R"({
  "title": "Welcome series",
  "trigger": {"event": {"name": "Signed Up"}, "re_entry": "RE_ENTRY_NEVER"},
  "exit_on": [{"name": "Account Deleted"}],
  "steps": [
    {"id": "hello", "send": {"channel": "CHANNEL_EMAIL", "via": "email-main", "template": "welcome"}},
    {"id": "two-days", "wait": {"duration": "172800s"}},
    {"id": "active", "decide": {"branches": [
      {"when": {"field": "events.Order Completed.count", "at_least": 1}, "next": "thanks"}]}},
    {"id": "tips", "send": {"channel": "CHANNEL_EMAIL", "via": "email-main", "template": "tips"}},
    {"id": "first-order", "wait": {"until": {"event": {"name": "Order Completed"}, "timeout": "432000s",
                                             "on_timeout": "offer", "remember_as": "order"}}},
    {"id": "thanks", "send": {"channel": "CHANNEL_EMAIL", "via": "email-main", "template": "thanks"}},
    {"id": "customer", "exit": {"reason": "ordered"}},
    {"id": "offer", "send": {"channel": "CHANNEL_EMAIL", "via": "email-main", "template": "offer"}},
    {"id": "over", "exit": {}}
  ]})";

TEST_CASE("welcome series") {
  Drive drive;
  drive.book.add("welcome", kWelcome);
  for (const char* who : {"quiet", "early", "late", "gone", "no-consent"}) {
    if (std::string(who) != "no-consent") drive.consent(who);
    drive.track(who, "Signed Up", R"({"plan": "free"})");
  }
  drive.advance(kDay);
  drive.track("early", "Order Completed");
  drive.track("gone", "Account Deleted");
  drive.track("quiet", "Signed Up");  // it is in it already
  drive.advance(2 * kDay);
  drive.track("late", "Order Completed", R"({"total": 12.5})");
  drive.advance(30 * kDay);
  drive.track("quiet", "Signed Up");  // once for ever
  drive.advance(30 * kDay);

  CHECK(drive.sent == Lines{"quiet hello +0", "early hello +0", "late hello +0", "gone hello +0",
                            "quiet tips +48", "early thanks +48", "late tips +48", "late thanks +72",
                            "quiet offer +168"});
  CHECK(
      drive.path("welcome:quiet") ==
      " started(event Signed Up); hello entered; two-days entered; two-days waiting(until "
      "2026-03-03T00:00:00Z); "
      "hello message(queued); hello message(sent); active entered; active decided(no branch holds); tips "
      "entered; "
      "first-order entered; first-order waiting(event Order Completed, until 2026-03-08T00:00:00Z); "
      "tips message(queued); tips message(sent); first-order decided(timeout); offer entered; over entered; "
      "over completed(completed); offer message(queued); offer message(sent)");
  CHECK(drive.path("welcome:early", 6) ==
        "active entered; active decided(branch 1: events.Order Completed.count is at least); thanks entered; "
        "customer entered; customer completed(ordered); thanks message(queued); thanks message(sent)");
  CHECK(drive.instance("welcome:late").memory() == R"({"order":{"total":1.25E1}})");
  CHECK(drive.path("welcome:gone", 4) ==
        "hello message(queued); hello message(sent); two-days exited(event Account Deleted)");
  CHECK(drive.instance("welcome:gone").status() == v1::RUN_STATUS_EXITED);
  CHECK(drive.path("welcome:no-consent").find("hello message(refused by consent") != std::string::npos);
  CHECK(drive.instance("welcome:no-consent").status() == v1::RUN_STATUS_COMPLETED);
  for (const auto& [key, state] : drive.sandbox.instances()) CHECK(!journey::is_running(state));
  const auto& runs = drive.sandbox.customer("quiet")->person().runs();
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].run() == 1);
  CHECK(runs[0].ended() > 0);
}

constexpr const char* kCart = R"({
  "title": "Abandoned cart",
  "trigger": {"event": {"name": "Cart Updated", "where": {"field": "event.properties.items", "above": 0}},
              "key": "event.properties.cart_id", "re_entry": "RE_ENTRY_RESTART"},
  "exit_on": [{"name": "Order Completed", "where": {"field": "event.properties.cart_id", "equals_field": "key"}}],
  "steps": [
    {"id": "hour", "wait": {"duration": "3600s"}},
    {"id": "reminder", "send": {"channel": "CHANNEL_EMAIL", "via": "email-main", "template": "cart"}},
    {"id": "three-days", "wait": {"duration": "259200s"}},
    {"id": "last-call", "send": {"channel": "CHANNEL_EMAIL", "via": "email-main", "template": "last"}},
    {"id": "over", "exit": {}}
  ]})";

TEST_CASE("abandoned cart: keyed by the cart, begun anew by each change, left by the order of that cart") {
  Drive drive;
  drive.book.add("cart", kCart);
  drive.consent("ann");
  drive.track("ann", "Cart Updated", R"({"cart_id": 7, "items": 1})");
  drive.track("ann", "Cart Updated", R"({"cart_id": "B 8", "items": 2})");
  drive.track("ann", "Cart Updated", R"({"cart_id": 9, "items": 0})");  // nothing in it
  drive.track("ann", "Cart Updated", R"({"items": 3})");                // no key
  drive.advance(kHour / 2);
  drive.track("ann", "Cart Updated", R"({"cart_id": 7, "items": 4})");  // the hour begins anew
  drive.advance(2 * kHour);
  CHECK(drive.sent == Lines{"ann reminder +1", "ann reminder +1:30"});
  drive.track("ann", "Order Completed", R"({"cart_id": 7})");
  drive.track("ann", "Order Completed", R"({"cart_id": "7 "})");
  drive.advance(10 * kDay);
  CHECK(drive.sent == Lines{"ann reminder +1", "ann reminder +1:30", "ann last-call +73"});
  CHECK(drive.sandbox.instances().size() == 2);
  const auto other = "cart@" + journey::instance_key("B 8") + ":ann";
  CHECK(drive.instance(other).key() == "B 8");
  CHECK(drive.instance("cart@7:ann").run() == 2);
  CHECK(drive.path("cart@7:ann") ==
        " started(event Cart Updated); hour entered; hour waiting(until 2026-03-01T01:00:00Z); hour "
        "exited(restarted); "
        " started(event Cart Updated); hour entered; hour waiting(until 2026-03-01T01:30:00Z); reminder "
        "entered; "
        "three-days entered; three-days waiting(until 2026-03-04T01:30:00Z); reminder message(queued); "
        "reminder message(sent); three-days exited(event Order Completed)");
  // Who has left may begin again.
  drive.track("ann", "Cart Updated", R"({"cart_id": 7, "items": 1})");
  drive.advance(kHour);
  CHECK(drive.sent.size() == 4);
  CHECK(drive.instance("cart@7:ann").run() == 3);
}

constexpr const char* kBooking = R"({
  "title": "Booking reminder",
  "purpose": "service",
  "trigger": {"event": {"name": "Booking Confirmed"}, "key": "event.properties.booking_id"},
  "exit_on": [{"name": "Booking Cancelled",
               "where": {"field": "event.properties.booking_id", "equals_field": "key"}}],
  "steps": [
    {"id": "day-before", "wait": {"at": {"field": "event.properties.departs_at", "offset": "-86400s"}}},
    {"id": "remind", "send": {"channel": "CHANNEL_WEBHOOK", "via": "crm", "template": "trip", "transactional": true}},
    {"id": "departed", "wait": {"at": {"field": "event.properties.departs_at"}}},
    {"id": "over", "exit": {"reason": "departed"}}
  ]})";

TEST_CASE("booking reminder: a day before departure, unless it is cancelled") {
  Drive drive;
  drive.book.add("booking", kBooking);
  v1::SetCustomerConsent consent;
  consent.set_purpose("service");
  consent.set_channel(v1::CHANNEL_WEBHOOK);
  consent.set_granted(true);
  drive.tell("customer/acme/bo", consent);
  drive.track("bo", "Booking Confirmed",
              R"({"booking_id": "b1", "departs_at": "2026-03-05T12:00:00+02:00"})");
  drive.track("bo", "Booking Confirmed", R"({"booking_id": "b2", "departs_at": "2026-03-06T00:00:00Z"})");
  drive.track("bo", "Booking Confirmed", R"({"booking_id": "b3", "departs_at": "2026-03-01T06:00:00Z"})");
  drive.track("bo", "Booking Confirmed", R"({"booking_id": "b4", "departs_at": "tomorrow"})");
  drive.track("bo", "Booking Confirmed", R"({"booking_id": "b5"})");
  drive.advance(2 * kDay);
  drive.track("bo", "Booking Cancelled", R"({"booking_id": "b2"})");
  drive.advance(30 * kDay);
  CHECK(drive.sent == Lines{"bo remind +0", "bo remind +0", "bo remind +0", "bo remind +82"});
  CHECK(drive.path("booking@b2:bo", 2) ==
        "day-before waiting(until 2026-03-05T00:00:00Z); day-before exited(event Booking Cancelled)");
  CHECK(drive.path("booking@b4:bo").find("day-before passed(event.properties.departs_at is no time)") !=
        std::string::npos);
  CHECK(drive.path("booking@b5:bo").find("day-before passed(event.properties.departs_at is absent)") !=
        std::string::npos);
  CHECK(drive.path("booking@b1:bo").find("over completed(departed)") != std::string::npos);
}

TEST_CASE("a revision that is activated is for those who start from then on") {
  Drive drive;
  drive.book.add("welcome", kWelcome);
  drive.consent("old");
  drive.consent("new");
  drive.track("old", "Signed Up");
  auto changed = journey_of(kWelcome);
  changed.mutable_steps(1)->mutable_wait()->mutable_duration()->set_seconds(3600);
  drive.book.add("welcome", changed);
  drive.track("new", "Signed Up");
  drive.advance(3 * kDay);
  CHECK(drive.sent == Lines{"old hello +0", "new hello +0", "new tips +1", "old tips +48"});
  CHECK(drive.instance("welcome:old").revision() == 1);
  CHECK(drive.instance("welcome:new").revision() == 2);
}

}  // namespace
}  // namespace cx::test
