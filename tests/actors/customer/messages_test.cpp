#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <set>

#include "actors/customer/person.hpp"
#include "tests/actors/customer/driver.hpp"

namespace cx::test {
namespace {

using Strings = std::vector<std::string>;

v1::DeliveryPolicy policy(std::uint32_t a_day, bool quiet = true) {
  v1::DeliveryPolicy out;
  auto& cap = *out.add_caps();
  cap.set_limit(a_day);
  cap.set_per(v1::MessageCap::PER_DAY);
  cap.set_window(v1::MessageCap::WINDOW_CALENDAR);
  if (!quiet) return out;
  auto& hours = *out.add_quiet_hours();
  hours.set_start("21:00");
  hours.set_end("08:00");
  return out;
}

/// One who consents, at noon.
struct Customer1 : Driver {
  explicit Customer1(const v1::DeliveryPolicy& rules = policy(2)) {
    now = kNow + 12 * kHour;
    policies.set(rules);
    consent(true);
    letters.clear();
  }
};

}  // namespace

TEST_CASE("a message that may go is handed to its channel, cleared, sent, and counted once") {
  Customer1 d;
  REQUIRE(d.send(request("m-1")));
  const auto letters = d.letters;
  CHECK(d.updates() == Strings{"queued"});
  REQUIRE(letters.size() == 2);
  CHECK(letters[0].to == "journey/acme/welcome:c-1");
  const auto& update = static_cast<const v1::MessageUpdate&>(*letters[0].command);
  CHECK(update.message_id() == "m-1");
  CHECK(update.step() == "hello");
  CHECK(update.visit() == 3);
  CHECK(letters[1].to == "channel/acme/main");
  const auto& dispatch = static_cast<const v1::DispatchMessage&>(*letters[1].command);
  CHECK(dispatch.message_id() == "m-1");
  CHECK(dispatch.customer() == "customer/acme/c-1");
  CHECK(dispatch.caused_at() == 77);

  REQUIRE(d.send(request("m-1")));  // a repeat
  CHECK(d.letters.empty());
  CHECK(d.person().counted_size() == 1);
  CHECK(d.view().messages(0).status() == "queued");

  d.take(identify(R"({"email":"a@b.c","gone":null,"x\"y":1.50})", "1"));
  const auto clearance = d.clear("m-1");
  CHECK(clearance.verdict() == v1::Clearance::GO);
  CHECK(clearance.template_() == "welcome");
  CHECK(clearance.customer_id() == "c-1");
  CHECK(clearance.traits() == R"({"email":"a@b.c","x\"y":1.5})");
  CHECK(clearance.event() == request("m-1").event());
  CHECK(clearance.memory() == request("m-1").memory());
  CHECK(clearance.purpose() == "marketing");

  v1::SettleMessage settle;
  settle.set_message_id("m-1");
  settle.set_outcome(v1::SettleMessage::SENT);
  settle.set_vendor_id("v-9");
  REQUIRE(d.send(settle));
  CHECK(d.updates() == Strings{"sent"});
  CHECK(d.events.back().message().vendor_id() == "v-9");
  CHECK(d.person().counted_size() == 1);
  CHECK(d.person().messages().empty());
  CHECK(d.clear("m-1").verdict() == v1::Clearance::GONE);
  const auto entries = d.person().entries();
  d.settle("m-1", v1::SettleMessage::FAILED);  // settled before
  REQUIRE(d.send(request("m-1")));
  CHECK(d.person().entries() == entries);
  CHECK(d.letters.empty());
}

TEST_CASE("what failed or was refused gives its place back, what is unknown keeps it") {
  Customer1 d(policy(1));
  REQUIRE(d.send(request("m-1")));
  REQUIRE(d.send(request("m-2")));
  CHECK(d.updates() == Strings{"queued", "refused by cap"});
  d.settle("m-1", v1::SettleMessage::FAILED, "no-address");
  CHECK(d.updates() == Strings{"failed by no-address"});
  REQUIRE(d.send(request("m-3")));
  d.settle("m-3", v1::SettleMessage::REFUSED, "consent");
  REQUIRE(d.send(request("m-4")));
  d.settle("m-4", v1::SettleMessage::UNKNOWN);
  REQUIRE(d.send(request("m-5")));
  CHECK(d.updates() == Strings{"queued", "refused by consent", "queued", "unknown", "refused by cap"});
  d.now += kDay;
  REQUIRE(d.send(request("m-6")));
  CHECK(d.updates() == Strings{"queued"});
}

TEST_CASE("a message waits for the end of quiet hours, and passes the gate again then") {
  Customer1 d;
  d.now = kNow + 22 * kHour;
  for (const char* id : {"m-1", "m-2", "m-3"}) REQUIRE(d.send(request(id)));
  CHECK(d.updates() ==
        Strings{"deferred by quiet-hours", "deferred by quiet-hours", "deferred by quiet-hours"});
  CHECK(d.person().counted().empty());
  CHECK(d.clear("m-1").verdict() == v1::Clearance::GONE);
  CHECK(d.view().messages(0).status() == "deferred");
  CHECK(d.view().messages(0).until().seconds() == (kNow + 32 * kHour) / 1'000);
  REQUIRE(d.reminders.count("message:m-1") == 1);
  CHECK(d.reminders.at("message:m-1").due == kNow + 32 * kHour);
  v1::ReconsiderMessage early;
  early.set_message_id("m-1");
  REQUIRE(d.send(early));
  CHECK(d.updates() == Strings{"deferred by quiet-hours"});
  d.wait_until(kNow + 33 * kHour);
  CHECK(d.updates() == Strings{"queued", "queued", "refused by cap"});
  CHECK(d.person().counted_size() == 2);
  CHECK(d.person().counted(0).at() == kNow + 32 * kHour);
  REQUIRE(d.send(early));  // it is with its channel
  CHECK(d.letters.empty());
}

TEST_CASE(
    "at dispatch the gate is asked again, and what the message itself has reserved is not held against it") {
  Customer1 d(policy(1));
  REQUIRE(d.send(request("m-1")));
  CHECK(d.clear("m-1").verdict() == v1::Clearance::GO);
  d.policies.set(policy(0));
  auto clearance = d.clear("m-1");
  CHECK(clearance.verdict() == v1::Clearance::REFUSED);
  CHECK(clearance.rule() == "cap");
  CHECK(clearance.traits().empty());
  d.policies.set(policy(1));
  d.now = kNow + 21 * kHour;
  clearance = d.clear("m-1");
  CHECK(clearance.verdict() == v1::Clearance::DEFERRED);
  CHECK(clearance.rule() == "quiet-hours");
  d.settle("m-1", v1::SettleMessage::DEFERRED, "quiet-hours");
  CHECK(d.updates() == Strings{"queued", "deferred by quiet-hours"});
  CHECK(d.person().counted().empty());
  CHECK(d.person().messages(0).until() == kNow + 32 * kHour);
  d.settle("m-1", v1::SettleMessage::SENT);  // of the attempt before: it is not with the channel
  CHECK(d.letters.empty());
  d.wait_until(kNow + 32 * kHour);
  const auto letters = d.letters;
  CHECK(d.updates() == Strings{"queued"});
  CHECK(static_cast<const v1::DispatchMessage&>(*letters.back().command).caused_at() == 0);
  // Put off by a channel whose reason is over by now: soon again.
  d.settle("m-1", v1::SettleMessage::DEFERRED, "quiet-hours");
  CHECK(d.person().messages(0).until() == d.now + kSecond);
  d.wait_until(d.now + kMinute);
  CHECK(d.updates() == Strings{"deferred by quiet-hours", "queued"});
  // Put off, and now there is another reason not to send it at all.
  d.consent(false);
  d.settle("m-1", v1::SettleMessage::DEFERRED, "quiet-hours");
  CHECK(d.updates() == Strings{"refused by consent"});
  CHECK(d.person().counted().empty());
}

TEST_CASE("an opt-out stops all that has not left") {
  Customer1 d(policy(1'000));
  std::vector<std::string> ids;
  for (int i = 0; i < 50; ++i) {
    ids.push_back("m-" + std::to_string(i));
    REQUIRE(d.send(request(ids.back())));
  }
  d.now = kNow + 22 * kHour;
  for (int i = 50; i < 100; ++i) REQUIRE(d.send(request("m-" + std::to_string(i))));
  REQUIRE(d.send(request("one-more")));
  CHECK(d.updates().back() == "refused by too-many-messages");
  d.consent(false);
  for (const auto& id : ids) {
    CHECK(d.clear(id).verdict() == v1::Clearance::REFUSED);
    CHECK(d.clear(id).rule() == "consent");
    d.settle(id, v1::SettleMessage::REFUSED, "consent");
  }
  d.letters.clear();
  d.wait_until(kNow + 40 * kHour);
  const auto updates = d.updates();
  CHECK(updates == Strings(50, "refused by consent"));
  CHECK(d.person().messages().empty());
  CHECK(d.person().counted().empty());
}

TEST_CASE("a suppression refuses what waits until it is over") {
  Customer1 d;
  REQUIRE(d.send(request("m-1")));
  v1::SuppressCustomer suppress;
  suppress.set_reason(v1::SUPPRESSION_REASON_BOUNCED);
  suppress.mutable_until()->set_seconds(d.now / 1'000 + 60);
  REQUIRE(d.send(suppress));
  CHECK(d.clear("m-1").rule() == "suppression");
  d.now += kMinute;
  CHECK(d.clear("m-1").verdict() == v1::Clearance::GO);
}

TEST_CASE("without its policy at hand a message is put to the gate later, and an opt-out is taken at once") {
  Customer1 d;
  d.policies.revisions.clear();
  d.policies.revisions[1] = nullptr;  // there is one, but it is not loaded
  CHECK(d.error(request("m-1")) == "policy-not-loaded");
  d.consent(false);
  CHECK_FALSE(d.person().consents(0).granted());
}

TEST_CASE("a settled message has an outcome") {
  Customer1 d;
  REQUIRE(d.send(request("m-1")));
  v1::SettleMessage settle;
  settle.set_message_id("m-1");
  CHECK(d.error(settle) == "invalid-outcome");
  settle.set_outcome(static_cast<v1::SettleMessage::Outcome>(42));
  CHECK(d.error(settle) == "invalid-outcome");
}

TEST_CASE("property: caps hold for what leaves, nothing counts twice, and every message ends once") {
  const bool held = rc::check([] {
    using Cap = v1::MessageCap;
    v1::DeliveryPolicy rules;
    const auto n = *rc::gen::inRange(0, 4);
    for (int i = 0; i < n; ++i) {
      auto& cap = *rules.add_caps();
      cap.set_limit(*rc::gen::inRange(0U, 5U));
      cap.set_per(static_cast<Cap::Per>(*rc::gen::inRange(1, 5)));
      cap.set_window(static_cast<Cap::Window>(*rc::gen::inRange(0, 2)));
      cap.set_channel(*rc::gen::element(v1::CHANNEL_UNSPECIFIED, v1::CHANNEL_EMAIL, v1::CHANNEL_SMS));
    }
    if (*rc::gen::arbitrary<bool>()) {
      auto& hours = *rules.add_quiet_hours();
      hours.set_start("21:00");
      hours.set_end("08:00");
    }
    Customer1 d(rules);
    d.consent(true, v1::CHANNEL_SMS);
    // What each message is, told by its updates alone, and the times at which they were queued.
    struct Told {
      v1::Channel channel;
      std::string what;
      std::int64_t counts = 0;
      bool over = false;
    };
    std::map<std::string, Told> told;
    const auto read = [&] {
      for (const auto& [to, update] : d.taken<v1::MessageUpdate>()) {
        auto& one = told.at(update.message_id());
        RC_ASSERT(!one.over);
        one.what = update.what();
        one.over = one.what != "queued" && one.what != "deferred";
        if (one.what == "queued") one.counts = d.now;
        if (one.what == "deferred" || one.what == "refused" || one.what == "failed") one.counts = 0;
      }
    };
    const auto steps = *rc::gen::inRange(1, 60);
    for (int i = 0; i < steps; ++i) {
      // In steps, so that `now` is when each was queued.
      const auto until = d.now + *rc::gen::element<std::int64_t>(0, kMinute, kHour, 9 * kHour, 3 * kDay);
      while (!d.reminders.empty()) {
        auto next =
            std::min_element(d.reminders.begin(), d.reminders.end(),
                             [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
        if (next->second.due > until) break;
        d.wait_until(next->second.due);
        read();
      }
      d.wait_until(until);
      if (told.empty() || *rc::gen::inRange(0, 2) == 0) {
        const auto id = "m-" + std::to_string(*rc::gen::inRange(0, 40));
        const auto channel = *rc::gen::element(v1::CHANNEL_EMAIL, v1::CHANNEL_SMS);
        const bool known = told.contains(id);
        if (known && told[id].what != "queued" && told[id].what != "deferred") continue;
        if (!known) told[id].channel = channel;
        RC_ASSERT(bool(d.send(request(id, told[id].channel))));
        if (known) RC_ASSERT(d.letters.empty());
        read();
      } else {
        auto at = told.begin();
        std::advance(at, *rc::gen::inRange<std::size_t>(0, told.size()));
        const auto clearance = d.clear(at->first);
        const bool queued = at->second.what == "queued";
        RC_ASSERT((clearance.verdict() != v1::Clearance::GONE) == queued);
        const auto outcome = clearance.verdict() == v1::Clearance::DEFERRED ? v1::SettleMessage::DEFERRED
                             : clearance.verdict() == v1::Clearance::REFUSED
                                 ? v1::SettleMessage::REFUSED
                                 : *rc::gen::element(v1::SettleMessage::SENT, v1::SettleMessage::FAILED,
                                                     v1::SettleMessage::UNKNOWN);
        d.settle(at->first, outcome);
        read();
        if (!queued) RC_ASSERT(d.letters.empty());
      }
      // The state counts what the oracle counts, each once.
      std::multiset<std::int64_t> expected, counted;
      for (const auto& [id, one] : told)
        if (one.counts > d.now - 30 * kDay) expected.insert(one.counts);
      for (const auto& one : d.person().counted())
        if (one.at() > d.now - 30 * kDay) counted.insert(one.at());
      RC_ASSERT(expected == counted);
      // And no cap is exceeded, in whatever window that ends with a message.
      for (const auto& cap : rules.caps())
        for (const auto& [last_id, last] : told) {
          if (last.counts == 0 || (cap.channel() != 0 && last.channel != cap.channel())) continue;
          const auto window = [&](std::int64_t at) -> std::int64_t {
            const std::int64_t length[] = {0, kHour, kDay, 7 * kDay, 30 * kDay};
            if (cap.window() == Cap::WINDOW_SLIDING) return at > last.counts - length[cap.per()] ? 1 : 0;
            const delivery::LocalTime a({}, at), b({}, last.counts);
            return cap.per() == Cap::PER_HOUR   ? a.hour() == b.hour()
                   : cap.per() == Cap::PER_DAY  ? a.day() == b.day()
                   : cap.per() == Cap::PER_WEEK ? a.week() == b.week()
                                                : a.month() == b.month();
          };
          const auto in_window = std::count_if(told.begin(), told.end(), [&](const auto& m) {
            const auto& one = m.second;
            return one.counts != 0 && one.counts <= last.counts && window(one.counts) != 0 &&
                   (cap.channel() == 0 || one.channel == cap.channel());
          });
          RC_ASSERT(in_window <= static_cast<std::ptrdiff_t>(cap.limit()));
        }
    }
    for (const auto& message : d.person().messages())
      RC_ASSERT(!told.at(message.request().message_id()).over);
  });
  CHECK(held);
}

}  // namespace cx::test
