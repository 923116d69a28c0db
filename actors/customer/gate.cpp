#include "actors/customer/gate.hpp"

#include <array>
#include <fmt/format.h>

#include "actors/condition/time.hpp"
#include "actors/customer/person.hpp"

namespace cx::delivery {
namespace {

constexpr std::int64_t kSecond = 1'000;
constexpr std::int64_t kHour = 3'600 * kSecond;
constexpr std::int64_t kDay = 24 * kHour;

struct ChannelWords {
  const char* one;   // "by e-mail"
  const char* many;  // "2 e-mails"
};
ChannelWords words(v1::Channel channel) {
  switch (channel) {
    case v1::CHANNEL_EMAIL:
      return {"e-mail", "e-mails"};
    case v1::CHANNEL_PUSH:
      return {"push", "push messages"};
    case v1::CHANNEL_SMS:
      return {"SMS", "text messages"};
    case v1::CHANNEL_IN_APP:
      return {"in-app message", "in-app messages"};
    case v1::CHANNEL_CONTENT_CARD:
      return {"content card", "content cards"};
    case v1::CHANNEL_WHATSAPP:
      return {"WhatsApp", "WhatsApp messages"};
    case v1::CHANNEL_WEBHOOK:
      return {"webhook", "webhook messages"};
    case v1::CHANNEL_DISPLAY:
      return {"display", "advertisements"};
    case v1::CHANNEL_WEB_PUSH:
      return {"web push", "web push messages"};
    default:
      return {"any channel", "messages"};
  }
}

const char* words(v1::SuppressionReason reason) {
  switch (reason) {
    case v1::SUPPRESSION_REASON_USER_OPT_OUT:
      return "the customer opted out";
    case v1::SUPPRESSION_REASON_BOUNCED:
      return "messages bounced";
    case v1::SUPPRESSION_REASON_COMPLAINED:
      return "the customer complained";
    case v1::SUPPRESSION_REASON_REGULATORY:
      return "a regulation";
    case v1::SUPPRESSION_REASON_ADMIN_ACTION:
      return "an administrator's decision";
    case v1::SUPPRESSION_REASON_BLOCKLISTED:
      return "the customer is on a block list";
    default:
      return "no reason given";
  }
}

std::optional<Verdict> suppressed(const v1::Person& person, const Asked& asked, std::int64_t now) {
  for (const auto& entry : person.suppressions()) {
    const bool all = entry.channel() == v1::CHANNEL_UNSPECIFIED;
    if (!holds(entry, now) || (!all && entry.channel() != asked.channel)) continue;
    const auto until =
        entry.until() == 0 ? std::string("for good") : "until " + condition::time_text(entry.until());
    return Verdict{Verdict::What::refuse, "suppression",
                   fmt::format("suppressed {} {}: {}",
                               all ? "on all channels" : fmt::format("on {}", words(asked.channel).one),
                               until, words(entry.reason()))};
  }
  return std::nullopt;
}

std::optional<Verdict> not_allowed(const v1::Person& person, const Asked& asked) {
  const auto* consent = find_consent(person, asked.purpose, asked.channel);
  if (consent != nullptr && consent->granted()) return std::nullopt;
  const auto what = fmt::format("{} for the purpose {}", words(asked.channel).one, asked.purpose);
  return Verdict{Verdict::What::refuse, "consent",
                 consent == nullptr ? fmt::format("no consent to {} was ever given", what)
                                    : fmt::format("the consent to {} was taken back at {}", what,
                                                  condition::time_text(consent->at()))};
}

bool within(const QuietTime& quiet, std::int64_t second) {
  const std::int64_t start = quiet.start * 60, end = quiet.end * 60;
  return start < end ? second >= start && second < end : second >= start || second < end;
}

/// A quiet time of the channel that holds at a local time; one that refuses before one that does not.
const QuietTime* quiet_at(const Policy& policy, v1::Channel channel, const LocalTime& local) {
  const QuietTime* found = nullptr;
  for (const auto& quiet : policy.quiet)
    if ((quiet.channels >> channel & 1) != 0 && within(quiet, local.second_of_day()) &&
        (found == nullptr || quiet.refuse))
      found = &quiet;
  return found;
}

/// The first second after `from` whose offset is not that of `from`; it is `to` at the latest, whose is not.
std::int64_t transition(const Zone& zone, std::int64_t from, std::int64_t to) {
  const auto before = zone.offset(from);
  while (to - from > 1) {
    const auto middle = from + (to - from) / 2;
    (zone.offset(middle) == before ? from : to) = middle;
  }
  return to;
}

std::optional<Verdict> quiet(const Policy& policy, const Asked& asked, const Zone& zone, std::int64_t now) {
  const LocalTime local(zone, now);
  const auto* quiet = quiet_at(policy, asked.channel, local);
  if (quiet == nullptr) return std::nullopt;
  auto detail = fmt::format("quiet hours {:02}:{:02} to {:02}:{:02}, and it is {} in {}", quiet->start / 60,
                            quiet->start % 60, quiet->end / 60, quiet->end % 60, minute_text(local.seconds),
                            zone.name());
  if (quiet->refuse) return Verdict{Verdict::What::refuse, "quiet-hours", std::move(detail)};
  const auto until = quiet_until(policy, asked.channel, zone, now);
  if (!until) return Verdict{Verdict::What::refuse, "quiet-hours", detail + "; they never end"};
  detail += "; they end at " + minute_text(LocalTime(zone, *until).seconds);
  return Verdict{Verdict::What::defer, "quiet-hours", std::move(detail), *until};
}

struct Period {
  const char* a;         // "2 e-mails a day"
  const char* length;    // "2 e-mails in 24 hours"
  std::int64_t sliding;  // milliseconds
  std::int64_t at_most;  // of one of the calendar, clocks that are set back included
};
const Period& period_of(v1::MessageCap::Per per) {
  static constexpr std::array<Period, 4> kPeriods{{{"an hour", "60 minutes", kHour, 4 * kHour},
                                                   {"a day", "24 hours", kDay, 2 * kDay},
                                                   {"a week", "7 days", 7 * kDay, 8 * kDay},
                                                   {"a month", "30 days", 30 * kDay, 32 * kDay}}};
  switch (per) {
    case v1::MessageCap::PER_HOUR:
      return kPeriods[0];
    case v1::MessageCap::PER_DAY:
      return kPeriods[1];
    case v1::MessageCap::PER_WEEK:
      return kPeriods[2];
    default:
      return kPeriods[3];
  }
}

std::int64_t number_of_period(v1::MessageCap::Per per, const LocalTime& local) {
  switch (per) {
    case v1::MessageCap::PER_HOUR:
      return local.hour();
    case v1::MessageCap::PER_DAY:
      return local.day();
    case v1::MessageCap::PER_WEEK:
      return local.week();
    default:
      return local.month();
  }
}

/// When a calendar's period began, local seconds.
std::int64_t start_of_period(v1::MessageCap::Per per, LocalTime local) {
  constexpr std::int64_t kLocalDay = kDay / kSecond;
  switch (per) {
    case v1::MessageCap::PER_HOUR:
      return local.hour() * (kHour / kSecond);
    case v1::MessageCap::PER_DAY:
      return local.day() * kLocalDay;
    case v1::MessageCap::PER_WEEK:
      return (local.week() * 7 - 3) * kLocalDay;
    default: {
      const auto month = local.month();
      local.seconds = local.day() * kLocalDay;
      while (true) {
        auto earlier = local;
        earlier.seconds -= kLocalDay;
        if (earlier.month() != month) return local.seconds;
        local = earlier;
      }
    }
  }
}

bool concerns(const v1::MessageCap& cap, v1::Channel channel, std::string_view purpose) {
  return (cap.channel() == v1::CHANNEL_UNSPECIFIED || cap.channel() == channel) &&
         (cap.purpose().empty() || cap.purpose() == purpose);
}

std::optional<Verdict> capped(const Policy& policy, const v1::Person& person, const Asked& asked,
                              const Zone& zone, std::int64_t now) {
  for (const auto& cap : policy.caps) {
    if (!concerns(cap, asked.channel, asked.purpose)) continue;
    const auto count = counted(cap, person, zone, now, asked.id);
    if (count < cap.limit()) continue;
    const auto& period = period_of(cap.per());
    const auto what = std::string(words(cap.channel()).many) +
                      (cap.purpose().empty() ? "" : " for the purpose " + cap.purpose());
    const auto detail =
        cap.window() == v1::MessageCap::WINDOW_CALENDAR
            ? fmt::format("cap of {} {} {} (calendar, {}): {} counted since {}", cap.limit(), what, period.a,
                          zone.name(), count, minute_text(start_of_period(cap.per(), LocalTime(zone, now))))
            : fmt::format("cap of {} {} in {} (sliding): {} counted since {}", cap.limit(), what,
                          period.length, count, condition::time_text(now - period.sliding));
    return Verdict{Verdict::What::refuse, "cap", detail};
  }
  return std::nullopt;
}

}  // namespace

ZoneChoice zone_of(const v1::Person& person, const Policy* policy) {
  ZoneChoice out{{}, "default"};
  bool found = false;
  if (const auto* trait = find_trait(person, "timezone"))
    if (out.zone = Zone::find(text_of(*trait), found); found) return out.basis = "customer", out;
  if (!person.geo_zone().empty())
    if (out.zone = Zone::find(person.geo_zone(), found); found) return out.basis = "geo", out;
  if (policy != nullptr && policy->zone) return {*policy->zone, "tenant"};
  return out;
}

Verdict judge(const Policy* policy, const v1::Person& person, const Asked& asked, std::int64_t now) {
  if (auto no = suppressed(person, asked, now)) return *std::move(no);
  if (auto no = not_allowed(person, asked)) return *std::move(no);
  if (policy == nullptr) return {};
  const auto zone = zone_of(person, policy).zone;
  if (!asked.transactional)
    if (auto no = quiet(*policy, asked, zone, now)) return *std::move(no);
  if (auto no = capped(*policy, person, asked, zone, now)) return *std::move(no);
  return {};
}

// Between two changes of the offset the clock runs evenly, so a quiet time ends when what is left of it has
// passed; where the offset changes before, it is looked at again from there.
std::optional<std::int64_t> quiet_until(const Policy& policy, v1::Channel channel, const Zone& zone,
                                        std::int64_t now) {
  constexpr std::int64_t kDaySeconds = kDay / kSecond;
  auto at = LocalTime({}, now).seconds;
  for (const auto last = at + 7 * kDaySeconds; at < last;) {
    const LocalTime local(zone, at * kSecond);
    const auto* holds = quiet_at(policy, channel, local);
    if (holds == nullptr) return std::max(at * kSecond, now);
    const auto left = (holds->end * 60 - local.second_of_day() + kDaySeconds) % kDaySeconds;
    const auto end = at + left;
    at = zone.offset(end) == zone.offset(at) ? end : transition(zone, at, end);
  }
  return std::nullopt;
}

std::uint32_t counted(const v1::MessageCap& cap, const v1::Person& person, const Zone& zone, std::int64_t now,
                      std::string_view except) {
  const bool calendar = cap.window() == v1::MessageCap::WINDOW_CALENDAR;
  const auto& period = period_of(cap.per());
  const auto this_one = calendar ? number_of_period(cap.per(), LocalTime(zone, now)) : 0;
  std::uint32_t count = 0;
  const auto& messages = person.counted();
  for (auto message = messages.rbegin(); message != messages.rend(); ++message) {
    if (message->at() <= now - (calendar ? period.at_most : period.sliding)) break;
    if (!concerns(cap, message->channel(), message->purpose()) || message->message_id() == except) continue;
    if (!calendar || number_of_period(cap.per(), LocalTime(zone, message->at())) >= this_one) ++count;
  }
  return count;
}

}  // namespace cx::delivery
