#include "actors/customer/gate.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "actors/condition/time.hpp"
#include "tests/actors/customer/driver.hpp"

namespace cx::test {
namespace {

using namespace delivery;
using What = Verdict::What;

std::int64_t utc(std::string_view text) {
  const auto time = condition::parse_time(text);
  REQUIRE(time);
  return time->unix_ms();
}
std::string text(std::int64_t unix_ms) {
  return condition::time_text(unix_ms);
}
Zone zone(std::string_view name) {
  bool found = false;
  const auto out = Zone::find(name, found);
  REQUIRE(found);
  return out;
}
v1::QuietHours& add_quiet(v1::DeliveryPolicy& policy, const std::string& start, const std::string& end,
                          bool refuse = false) {
  auto& hours = *policy.add_quiet_hours();
  hours.set_start(start);
  hours.set_end(end);
  if (refuse) hours.set_otherwise(v1::QuietHours::OTHERWISE_REFUSE);
  return hours;
}
PolicyPtr compiled(const v1::DeliveryPolicy& policy) {
  auto out = compile_policy(policy);
  if (!out) FAIL(out.error().pointer << ": " << out.error().detail);
  return *out;
}
PolicyPtr quiet(const std::string& start, const std::string& end) {
  v1::DeliveryPolicy policy;
  add_quiet(policy, start, end);
  return compiled(policy);
}
v1::MessageCap& add_cap(v1::DeliveryPolicy& policy, std::uint32_t limit, v1::MessageCap::Per per,
                        v1::MessageCap::Window window, v1::Channel channel = v1::CHANNEL_UNSPECIFIED,
                        const std::string& purpose = "") {
  auto& cap = *policy.add_caps();
  cap.set_limit(limit);
  cap.set_per(per);
  cap.set_window(window);
  cap.set_channel(channel);
  cap.set_purpose(purpose);
  return cap;
}
void count(v1::Person& person, std::int64_t at, v1::Channel channel = v1::CHANNEL_EMAIL,
           const std::string& purpose = "marketing", const std::string& id = "m") {
  auto& one = *person.add_counted();
  one.set_message_id(id);
  one.set_at(at);
  one.set_channel(channel);
  one.set_purpose(purpose);
}
v1::Person consenting() {
  v1::Person person;
  auto& consent = *person.add_consents();
  consent.set_purpose("marketing");
  consent.set_channel(v1::CHANNEL_EMAIL);
  consent.set_granted(true);
  return person;
}
const Asked kMail{v1::CHANNEL_EMAIL, "marketing", false, "new"};

// Whether a time of the day, in seconds, is in [start, end) of "21:00" texts.
bool in(const std::string& start, const std::string& end, std::int64_t second) {
  const auto of = [](const std::string& t) {
    return std::stoi(t.substr(0, 2)) * 3600 + std::stoi(t.substr(3)) * 60;
  };
  return of(start) < of(end) ? second >= of(start) && second < of(end)
                             : second >= of(start) || second < of(end);
}

}  // namespace

TEST_CASE("quiet hours end when the clock on the wall says so, over changes of the clock too") {
  struct Row {
    const char *zone, *start, *end, *now, *until;
  };
  const Row rows[] = {
      {"UTC", "21:00", "08:00", "2026-03-01T20:59:59.999Z", "2026-03-01T20:59:59.999Z"},
      {"UTC", "21:00", "08:00", "2026-03-01T21:00:00Z", "2026-03-02T08:00:00Z"},
      {"UTC", "21:00", "08:00", "2026-03-02T07:59:59.999Z", "2026-03-02T08:00:00Z"},
      {"UTC", "21:00", "08:00", "2026-03-02T08:00:00Z", "2026-03-02T08:00:00Z"},
      {"UTC", "12:00", "14:00", "2026-03-01T13:00:00.5Z", "2026-03-01T14:00:00Z"},
      {"Asia/Kathmandu", "21:00", "08:00", "2026-03-01T15:14:59Z", "2026-03-01T15:14:59Z"},  // UTC+05:45
      {"Asia/Kathmandu", "21:00", "08:00", "2026-03-01T15:15:00Z", "2026-03-02T02:15:00Z"},
      {"Asia/Jakarta", "00:00", "06:00", "2026-03-01T17:00:00Z", "2026-03-01T23:00:00Z"},
      // Berlin, 29 March 2026: 02:00 becomes 03:00.
      {"Europe/Berlin", "21:00", "08:00", "2026-03-28T20:00:00Z", "2026-03-29T06:00:00Z"},
      {"Europe/Berlin", "21:00", "02:30", "2026-03-28T23:00:00Z",
       "2026-03-29T01:00:00Z"},  // 02:30 is skipped
      {"Europe/Berlin", "02:30", "05:00", "2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z"},
      {"Europe/Berlin", "02:30", "05:00", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"},  // from 03:00 on
      {"Europe/Berlin", "02:10", "02:50", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"},  // never, that day
      // Berlin, 25 October 2026: 03:00 becomes 02:00.
      {"Europe/Berlin", "21:00", "08:00", "2026-10-24T19:00:00Z", "2026-10-25T07:00:00Z"},
      {"Europe/Berlin", "02:15", "02:45", "2026-10-25T00:20:00Z", "2026-10-25T00:45:00Z"},
      {"Europe/Berlin", "02:15", "02:45", "2026-10-25T01:20:00Z", "2026-10-25T01:45:00Z"},  // again
      {"Europe/Berlin", "02:15", "02:45", "2026-10-25T01:00:00Z", "2026-10-25T01:00:00Z"},
      {"Europe/Berlin", "02:30", "04:00", "2026-10-25T00:40:00Z", "2026-10-25T01:00:00Z"},  // 02:00 again
      {"Europe/Berlin", "02:30", "04:00", "2026-10-25T01:30:00Z", "2026-10-25T03:00:00Z"},
      // New York, 8 March and 1 November 2026, at 02:00.
      {"America/New_York", "22:00", "07:00", "2026-03-08T03:00:00Z", "2026-03-08T11:00:00Z"},
      {"America/New_York", "22:00", "07:00", "2026-11-01T02:00:00Z", "2026-11-01T12:00:00Z"},
      {"America/New_York", "22:00", "01:30", "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z"},
      {"America/New_York", "22:00", "01:30", "2026-11-01T06:10:00Z", "2026-11-01T06:30:00Z"},  // 01:10 again
      // Lord Howe, half an hour: 5 April 2026 02:00 becomes 01:30, 4 October 2026 02:00 becomes 02:30.
      {"Australia/Lord_Howe", "20:00", "01:45", "2026-04-04T14:00:00Z", "2026-04-04T14:45:00Z"},
      {"Australia/Lord_Howe", "20:00", "01:45", "2026-04-04T15:00:00Z",
       "2026-04-04T15:15:00Z"},  // 01:30 again
      {"Australia/Lord_Howe", "20:00", "02:15", "2026-10-03T15:00:00Z", "2026-10-03T15:30:00Z"},
      {"Australia/Lord_Howe", "01:50", "02:10", "2026-10-03T15:25:00Z", "2026-10-03T15:30:00Z"},
      // Sao Paulo: on 4 November 2018 midnight became 01:00; on 18 February 2018 midnight became 23:00.
      {"America/Sao_Paulo", "22:00", "00:30", "2018-11-04T02:00:00Z", "2018-11-04T03:00:00Z"},
      {"America/Sao_Paulo", "00:00", "00:30", "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z"},
      {"America/Sao_Paulo", "00:00", "06:00", "2018-11-04T03:00:00Z", "2018-11-04T08:00:00Z"},
      {"America/Sao_Paulo", "23:30", "06:00", "2018-02-18T01:45:00Z", "2018-02-18T02:00:00Z"},
      {"America/Sao_Paulo", "23:30", "06:00", "2018-02-18T02:30:00Z", "2018-02-18T09:00:00Z"},
      // Apia had no 30 December 2011.
      {"Pacific/Apia", "21:00", "08:00", "2011-12-30T08:00:00Z", "2011-12-30T18:00:00Z"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.zone);
    CAPTURE(row.start);
    CAPTURE(row.end);
    CAPTURE(row.now);
    const auto until =
        quiet_until(*quiet(row.start, row.end), v1::CHANNEL_EMAIL, zone(row.zone), utc(row.now));
    REQUIRE(until);
    CHECK(text(*until) == text(utc(row.until)));
  }
}

TEST_CASE("property: quiet hours end at the first minute that a walk minute by minute finds open") {
  const std::vector<std::pair<const char*, const char*>> changes = {
      {"Europe/Berlin", "2026-03-29T01:00:00Z"},       {"Europe/Berlin", "2026-10-25T01:00:00Z"},
      {"America/New_York", "2026-03-08T07:00:00Z"},    {"America/New_York", "2026-11-01T06:00:00Z"},
      {"Australia/Lord_Howe", "2026-04-04T15:00:00Z"}, {"Australia/Lord_Howe", "2026-10-03T15:30:00Z"},
      {"America/Sao_Paulo", "2018-11-04T03:00:00Z"},   {"America/Sao_Paulo", "2018-02-18T02:00:00Z"},
      {"Asia/Kathmandu", "1985-12-31T18:30:00Z"},      {"America/St_Johns", "2009-11-01T02:31:00Z"},
      {"Africa/Casablanca", "2026-02-15T02:00:00Z"},   {"Pacific/Apia", "2011-12-30T10:00:00Z"}};
  const auto hour = [](int half) { return fmt::format("{:02}:{:02}", half / 4, half % 4 * 15); };
  const bool held = rc::check([&] {
    const auto& [name, change] = changes[*rc::gen::inRange<std::size_t>(0, changes.size())];
    const auto where = zone(name);
    v1::DeliveryPolicy policy;
    const auto n = *rc::gen::inRange(1, 4);
    for (int i = 0; i < n; ++i) {
      const auto start = *rc::gen::inRange(0, 96), length = *rc::gen::inRange(1, 40);
      add_quiet(policy, hour(start), hour((start + length) % 96), *rc::gen::arbitrary<bool>());
    }
    if (check_policy(policy)) return;  // together they are the whole day
    const auto now = utc(change) + *rc::gen::inRange<std::int64_t>(-1'500, 1'500) * kMinute +
                     *rc::gen::inRange<std::int64_t>(0, kMinute);
    // The clock on the wall, asked of nothing but the offset.
    const auto open = [&](std::int64_t at) {
      const auto local = at / 1'000 + where.offset(at / 1'000);
      const auto second = (local % 86'400 + 86'400) % 86'400;
      return std::none_of(policy.quiet_hours().begin(), policy.quiet_hours().end(),
                          [&](const auto& h) { return in(h.start(), h.end(), second); });
    };
    auto expected = now;
    if (!open(expected))
      for (expected = (expected / kMinute + 1) * kMinute; !open(expected);) expected += kMinute;
    const auto until = quiet_until(*compiled(policy), v1::CHANNEL_EMAIL, where, now);
    RC_ASSERT(until.has_value());
    RC_ASSERT(text(*until) == text(expected));
  });
  CHECK(held);
}

TEST_CASE("the rules are asked in their order, and the first that says no is named with its numbers") {
  v1::DeliveryPolicy policy;
  add_quiet(policy, "21:00", "08:00").add_channels(v1::CHANNEL_EMAIL);
  add_cap(policy, 2, v1::MessageCap::PER_DAY, v1::MessageCap::WINDOW_CALENDAR, v1::CHANNEL_EMAIL);
  policy.set_time_zone("Asia/Jakarta");
  const auto ready = compiled(policy);
  const auto noon = utc("2026-03-01T05:00:00Z"), night = utc("2026-03-01T15:30:00Z");

  v1::Person person;
  count(person, noon - kHour);
  count(person, noon - kMinute);
  auto& suppression = *person.add_suppressions();
  suppression.set_channel(v1::CHANNEL_EMAIL);
  suppression.set_reason(v1::SUPPRESSION_REASON_BOUNCED);
  suppression.set_until(noon + kDay);

  auto verdict = judge(ready.get(), person, kMail, night);
  CHECK(verdict.what == What::refuse);
  CHECK(verdict.rule == "suppression");
  CHECK(verdict.detail == "suppressed on e-mail until 2026-03-02T05:00:00Z: messages bounced");
  CHECK(judge(ready.get(), person, kMail, noon + kDay).rule == "consent");  // no longer

  person.clear_suppressions();
  verdict = judge(ready.get(), person, kMail, night);
  CHECK(verdict.rule == "consent");
  CHECK(verdict.detail == "no consent to e-mail for the purpose marketing was ever given");
  *person.mutable_consents() = consenting().consents();
  CHECK(judge(ready.get(), person, {v1::CHANNEL_SMS, "marketing", false, ""}, noon).rule == "consent");
  CHECK(judge(ready.get(), person, {v1::CHANNEL_EMAIL, "service", true, ""}, noon).rule == "consent");

  verdict = judge(ready.get(), person, kMail, night);
  CHECK(verdict.what == What::defer);
  CHECK(verdict.rule == "quiet-hours");
  CHECK(text(verdict.until) == "2026-03-02T01:00:00Z");
  CHECK(
      verdict.detail ==
      "quiet hours 21:00 to 08:00, and it is 2026-03-01 22:30 in Asia/Jakarta; they end at 2026-03-02 08:00");

  verdict = judge(ready.get(), person, kMail, noon);
  CHECK(verdict.what == What::refuse);
  CHECK(verdict.rule == "cap");
  CHECK(verdict.detail ==
        "cap of 2 e-mails a day (calendar, Asia/Jakarta): 2 counted since 2026-03-01 00:00");
  CHECK(judge(ready.get(), person, {v1::CHANNEL_EMAIL, "marketing", true, ""}, night).rule == "cap");
  CHECK(judge(ready.get(), person, kMail, noon + kDay).what == What::go);
  CHECK(judge(nullptr, person, kMail, night).what == What::go);

  person.mutable_consents(0)->set_granted(false);
  person.mutable_consents(0)->set_at(noon);
  CHECK(judge(nullptr, person, kMail, noon).detail ==
        "the consent to e-mail for the purpose marketing was taken back at 2026-03-01T05:00:00Z");
}

TEST_CASE("a suppression of all channels holds for each, one of a channel for that") {
  auto person = consenting();
  auto& suppression = *person.add_suppressions();
  suppression.set_reason(v1::SUPPRESSION_REASON_USER_OPT_OUT);
  CHECK(judge(nullptr, person, kMail, kNow).detail ==
        "suppressed on all channels for good: the customer opted out");
  suppression.set_channel(v1::CHANNEL_SMS);
  CHECK(judge(nullptr, person, kMail, kNow).what == What::go);
}

TEST_CASE(
    "quiet hours of other channels do not hold; what refuses wins over what defers; transactional passes") {
  v1::DeliveryPolicy policy;
  add_quiet(policy, "10:00", "14:00");
  add_quiet(policy, "12:00", "18:00", true).add_channels(v1::CHANNEL_EMAIL);
  const auto ready = compiled(policy);
  auto person = consenting();
  const auto at = [&](int hour, bool transactional = false) {
    return judge(ready.get(), person, {v1::CHANNEL_EMAIL, "marketing", transactional, ""},
                 kNow + hour * kHour);
  };
  CHECK(at(9).what == What::go);
  CHECK(at(10).what == What::defer);
  CHECK(at(10).until == kNow + 18 * kHour);  // what follows is quiet, too
  CHECK(at(12).what == What::refuse);
  CHECK(at(17).what == What::refuse);
  CHECK(at(18).what == What::go);
  CHECK(at(12, true).what == What::go);
  CHECK(quiet_until(*ready, v1::CHANNEL_SMS, {}, kNow + 12 * kHour) == kNow + 14 * kHour);
}

TEST_CASE("caps by hour, day, week and month, sliding and calendar") {
  using Cap = v1::MessageCap;
  const auto now = utc("2026-03-04T10:30:00Z");  // a Wednesday
  struct Row {
    Cap::Per per;
    Cap::Window window;
    const char *counts, *does_not;  // the earliest that counts, and the latest that does not
  };
  const Row rows[] = {
      {Cap::PER_HOUR, Cap::WINDOW_SLIDING, "2026-03-04T09:30:00.001Z", "2026-03-04T09:30:00Z"},
      {Cap::PER_DAY, Cap::WINDOW_SLIDING, "2026-03-03T10:30:00.001Z", "2026-03-03T10:30:00Z"},
      {Cap::PER_WEEK, Cap::WINDOW_SLIDING, "2026-02-25T10:30:00.001Z", "2026-02-25T10:30:00Z"},
      {Cap::PER_MONTH, Cap::WINDOW_SLIDING, "2026-02-02T10:30:00.001Z", "2026-02-02T10:30:00Z"},
      // Berlin is an hour ahead.
      {Cap::PER_HOUR, Cap::WINDOW_CALENDAR, "2026-03-04T10:00:00Z", "2026-03-04T09:59:59.999Z"},
      {Cap::PER_DAY, Cap::WINDOW_CALENDAR, "2026-03-03T23:00:00Z", "2026-03-03T22:59:59.999Z"},
      {Cap::PER_WEEK, Cap::WINDOW_CALENDAR, "2026-03-01T23:00:00Z", "2026-03-01T22:59:59.999Z"},
      {Cap::PER_MONTH, Cap::WINDOW_CALENDAR, "2026-02-28T23:00:00Z", "2026-02-28T22:59:59.999Z"}};
  for (const auto& row : rows) {
    CAPTURE(row.counts);
    v1::DeliveryPolicy policy;
    const auto& cap = add_cap(policy, 1, row.per, row.window);
    v1::Person person;
    count(person, utc(row.does_not));
    CHECK(counted(cap, person, zone("Europe/Berlin"), now) == 0);
    count(person, utc(row.counts));
    CHECK(counted(cap, person, zone("Europe/Berlin"), now) == 1);
    count(person, now + kDay);  // the clock was set back
    CHECK(counted(cap, person, zone("Europe/Berlin"), now) == 2);
    CHECK(counted(cap, person, zone("Europe/Berlin"), now, "m") == 0);
  }
}

TEST_CASE("both hours of a repeated one are one hour, and so is the longest month") {
  v1::DeliveryPolicy policy;
  const auto& hour = add_cap(policy, 1, v1::MessageCap::PER_HOUR, v1::MessageCap::WINDOW_CALENDAR);
  v1::Person person;
  count(person, utc("2026-10-25T00:30:00Z"));  // 02:30 in Berlin
  CHECK(counted(hour, person, zone("Europe/Berlin"), utc("2026-10-25T01:30:00Z")) == 1);
  CHECK(counted(hour, person, zone("Europe/Berlin"), utc("2026-10-25T02:00:00Z")) == 0);
  v1::DeliveryPolicy monthly;
  const auto& month = add_cap(monthly, 1, v1::MessageCap::PER_MONTH, v1::MessageCap::WINDOW_CALENDAR);
  v1::Person early;
  count(early, utc("2026-09-30T22:00:00Z"));  // 1 October 00:00 in Berlin
  CHECK(counted(month, early, zone("Europe/Berlin"), utc("2026-10-31T22:59:59Z")) == 1);
  CHECK(counted(month, early, zone("Europe/Berlin"), utc("2026-10-31T23:00:00Z")) == 0);
}

TEST_CASE("property: a cap counts what an oracle counts by the calendar") {
  const std::vector<const char*> names = {"UTC",
                                          "Europe/Berlin",
                                          "America/New_York",
                                          "Australia/Lord_Howe",
                                          "America/Sao_Paulo",
                                          "Asia/Kathmandu",
                                          "Pacific/Apia"};
  const bool held = rc::check([&] {
    const auto where = zone(names[*rc::gen::inRange<std::size_t>(0, names.size())]);
    v1::MessageCap cap;
    cap.set_per(static_cast<v1::MessageCap::Per>(*rc::gen::inRange(1, 5)));
    cap.set_window(static_cast<v1::MessageCap::Window>(*rc::gen::inRange(0, 2)));
    cap.set_channel(*rc::gen::element(v1::CHANNEL_UNSPECIFIED, v1::CHANNEL_EMAIL));
    cap.set_purpose(*rc::gen::element(std::string(), std::string("a")));
    const auto now = utc("2018-02-18T02:00:00Z") + *rc::gen::inRange<std::int64_t>(-400 * kDay, 400 * kDay);
    std::vector<std::int64_t> times = *rc::gen::container<std::vector<std::int64_t>>(rc::gen::oneOf(
        rc::gen::inRange<std::int64_t>(0, 40 * kDay), rc::gen::inRange<std::int64_t>(0, 2 * kHour)));
    std::sort(times.rbegin(), times.rend());
    v1::Person person;
    std::uint32_t expected = 0;
    const auto period = [&](std::int64_t at) {
      const auto local = (at - (at % 1'000)) / 1'000 + where.offset(at / 1'000);
      const auto date = std::chrono::year_month_day(
          std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(local))));
      const std::chrono::sys_days day = date;
      switch (cap.per()) {
        case v1::MessageCap::PER_HOUR:
          return fmt::format("{} {}", day.time_since_epoch().count(), local / 3'600);
        case v1::MessageCap::PER_DAY:
          return std::to_string(day.time_since_epoch().count());
        case v1::MessageCap::PER_WEEK: {
          const auto back = (std::chrono::weekday(day) - std::chrono::Monday).count();
          return std::to_string((day - std::chrono::days(back)).time_since_epoch().count());
        }
        default:
          return fmt::format("{} {}", int{date.year()}, unsigned{date.month()});
      }
    };
    const std::int64_t lengths[] = {0, kHour, kDay, 7 * kDay, 30 * kDay};
    for (const auto ago : times) {
      const auto at = now - ago;
      const auto channel = *rc::gen::element(v1::CHANNEL_EMAIL, v1::CHANNEL_SMS);
      const auto purpose = *rc::gen::element(std::string("a"), std::string("b"));
      count(person, at, channel, purpose);
      const bool concerned = (cap.channel() == v1::CHANNEL_UNSPECIFIED || channel == cap.channel()) &&
                             (cap.purpose().empty() || purpose == cap.purpose());
      const bool recent = cap.window() == v1::MessageCap::WINDOW_SLIDING ? ago < lengths[cap.per()]
                                                                         : period(at) == period(now);
      if (concerned && recent) ++expected;
    }
    RC_ASSERT(counted(cap, person, where, now) == expected);
  });
  CHECK(held);
}

TEST_CASE("the zone is the customer's own, else that of its events, else the tenant's, else UTC") {
  v1::DeliveryPolicy policy;
  policy.set_time_zone("Asia/Jakarta");
  const auto ready = compiled(policy);
  v1::Person person;
  CHECK(zone_of(person, nullptr).basis == "default");
  CHECK(zone_of(person, nullptr).zone.name() == "UTC");
  CHECK(zone_of(person, ready.get()).zone.name() == "Asia/Jakarta");
  CHECK(zone_of(person, ready.get()).basis == "tenant");
  person.set_geo_zone("Europe/Berlin");
  CHECK(zone_of(person, ready.get()).zone.name() == "Europe/Berlin");
  CHECK(zone_of(person, ready.get()).basis == "geo");
  auto& trait = *person.add_traits();
  trait.set_name("timezone");
  for (const char* json : {"\"Europe\\/Paris\"", "\"Europe/Paris\""}) {
    trait.set_json(json);
    CHECK(zone_of(person, ready.get()).zone.name() == "Europe/Paris");
    CHECK(zone_of(person, ready.get()).basis == "customer");
  }
  for (const char* json :
       {"null", "5", "\"Mars/Olympus\"", "\"\"", "\"../../etc/passwd\"", "\"/etc/localtime\"",
        "\"file:/etc/localtime\"", "\"europe/paris\"", "{", "\"Europe"}) {
    CAPTURE(json);
    trait.set_json(json);
    CHECK(zone_of(person, ready.get()).basis == "geo");
  }
}

TEST_CASE("a policy that cannot work is refused, and where") {
  const auto pointer = [](const std::function<void(v1::DeliveryPolicy&)>& change) {
    v1::DeliveryPolicy policy;
    add_cap(policy, 2, v1::MessageCap::PER_DAY, v1::MessageCap::WINDOW_SLIDING);
    add_quiet(policy, "21:00", "08:00");
    policy.set_time_zone("Asia/Jakarta");
    CHECK_FALSE(check_policy(policy));
    change(policy);
    const auto error = check_policy(policy);
    REQUIRE(error);
    CHECK(error->type == "invalid-policy");
    CHECK_FALSE(compile_policy(policy));
    return error->pointer;
  };
  const auto cap = [&](auto change) { return pointer([&](auto& p) { change(*p.mutable_caps(0)); }); };
  const auto hours = [&](auto change) {
    return pointer([&](auto& p) { change(*p.mutable_quiet_hours(0)); });
  };
  CHECK(cap([](auto& c) { c.set_per(v1::MessageCap::PER_UNSPECIFIED); }) == "/caps/0/per");
  CHECK(cap([](auto& c) { c.set_per(static_cast<v1::MessageCap::Per>(9)); }) == "/caps/0/per");
  CHECK(cap([](auto& c) { c.set_window(static_cast<v1::MessageCap::Window>(9)); }) == "/caps/0/window");
  CHECK(cap([](auto& c) { c.set_channel(static_cast<v1::Channel>(99)); }) == "/caps/0/channel");
  CHECK(cap([](auto& c) { c.set_purpose("Buy me"); }) == "/caps/0/purpose");
  CHECK(cap([](auto& c) { c.set_limit(1'001); }) == "/caps/0/limit");
  for (const char* time : {"", "24:00", "9:00", "09:60", "09-00", "ab:cd", "09:00 ", "-1:00"})
    CHECK(hours([&](auto& h) { h.set_start(time); }) == "/quiet_hours/0/start");
  CHECK(hours([](auto& h) { h.set_end("21:00"); }) == "/quiet_hours/0/end");
  CHECK(hours([](auto& h) { h.add_channels(static_cast<v1::Channel>(77)); }) == "/quiet_hours/0/channels/0");
  CHECK(hours([](auto& h) { h.set_otherwise(static_cast<v1::QuietHours::Otherwise>(7)); }) ==
        "/quiet_hours/0/otherwise");
  CHECK(pointer([](auto& p) { add_quiet(p, "08:00", "21:00", true); }) == "/quiet_hours");
  CHECK(pointer([](auto& p) { add_quiet(p, "07:00", "21:30").add_channels(v1::CHANNEL_SMS); }) ==
        "/quiet_hours");
  CHECK(pointer([](auto& p) { p.set_time_zone("Mars/Olympus"); }) == "/time_zone");
}

}  // namespace cx::test
