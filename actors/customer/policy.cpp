#include "actors/customer/policy.hpp"

#include "runtime/address.hpp"

namespace cx::delivery {
namespace {

constexpr int kDayMinutes = 24 * 60;
constexpr std::uint32_t kMostMessages = 1'000;  // that a cap may allow; customers remember more than that

Error invalid(std::string detail, std::string pointer) {
  return {Code::invalid_argument, "invalid-policy", std::move(detail), std::move(pointer)};
}

/// "21:00" in minutes; -1 for anything else.
int minutes_of(std::string_view text) {
  const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : 100; };
  if (text.size() != 5 || text[2] != ':') return -1;
  const int hour = digit(0) * 10 + digit(1), minute = digit(3) * 10 + digit(4);
  return hour < 24 && minute < 60 ? hour * 60 + minute : -1;
}

bool is_channel(int channel) {
  return channel != v1::CHANNEL_UNSPECIFIED && v1::Channel_IsValid(channel);
}

Error no_channel(std::string pointer) {
  return invalid("It has to be a channel, as CHANNEL_EMAIL.", std::move(pointer));
}

std::optional<Error> check_cap(const v1::MessageCap& cap, const std::string& at) {
  if (cap.channel() != v1::CHANNEL_UNSPECIFIED && !is_channel(cap.channel()))
    return no_channel(at + "/channel");
  if (!cap.purpose().empty() && !is_name(cap.purpose()))
    return invalid("A purpose is 1 to 63 of a-z, 0-9 and '-'; leave it out for a cap of all messages.",
                   at + "/purpose");
  if (cap.limit() > kMostMessages)
    return invalid("A cap allows 0 to 1000 messages; leave the cap out for no limit.", at + "/limit");
  if (cap.per() == v1::MessageCap::PER_UNSPECIFIED || !v1::MessageCap::Per_IsValid(cap.per()))
    return invalid("A cap is PER_HOUR, PER_DAY, PER_WEEK or PER_MONTH.", at + "/per");
  if (!v1::MessageCap::Window_IsValid(cap.window()))
    return invalid("The window of a cap is WINDOW_SLIDING or WINDOW_CALENDAR.", at + "/window");
  return std::nullopt;
}

std::optional<Error> check_quiet(const v1::QuietHours& hours, const std::string& at) {
  for (int i = 0; i < hours.channels_size(); ++i)
    if (!is_channel(hours.channels(i))) return no_channel(at + "/channels/" + std::to_string(i));
  for (const auto& [text, name] : {std::pair{&hours.start(), "/start"}, {&hours.end(), "/end"}})
    if (minutes_of(*text) < 0)
      return invalid("A time of the day is 00:00 to 23:59, with two digits each.", at + name);
  if (hours.start() == hours.end())
    return invalid(
        "Quiet hours cannot be the whole day: no message would ever leave. Use a cap with limit 0 to stop a "
        "channel.",
        at + "/end");
  if (!v1::QuietHours::Otherwise_IsValid(hours.otherwise()))
    return invalid("At a quiet time it is OTHERWISE_DEFER or OTHERWISE_REFUSE.", at + "/otherwise");
  return std::nullopt;
}

QuietTime ready(const v1::QuietHours& hours) {
  QuietTime out{0, minutes_of(hours.start()), minutes_of(hours.end()),
                hours.otherwise() == v1::QuietHours::OTHERWISE_REFUSE};
  for (const auto channel : hours.channels()) out.channels |= 1U << channel;
  if (hours.channels().empty()) out.channels = ~0U;
  return out;
}

/// The channels that have no minute left.
std::uint32_t always_quiet(const v1::DeliveryPolicy& policy) {
  std::uint32_t always = ~0U;
  for (int minute = 0; minute < kDayMinutes && always != 0; ++minute) {
    std::uint32_t now = 0;
    for (const auto& hours : policy.quiet_hours()) {
      const auto quiet = ready(hours);
      const bool in = quiet.start < quiet.end ? minute >= quiet.start && minute < quiet.end
                                              : minute >= quiet.start || minute < quiet.end;
      if (in) now |= quiet.channels;
    }
    always &= now;
  }
  return always;
}

}  // namespace

std::optional<Error> check_policy(const v1::DeliveryPolicy& policy) {
  for (int i = 0; i < policy.caps_size(); ++i)
    if (auto error = check_cap(policy.caps(i), "/caps/" + std::to_string(i))) return error;
  for (int i = 0; i < policy.quiet_hours_size(); ++i)
    if (auto error = check_quiet(policy.quiet_hours(i), "/quiet_hours/" + std::to_string(i))) return error;
  if (always_quiet(policy) != 0)
    return invalid(
        "Together these quiet hours are the whole day of a channel: no message would ever leave by it. Leave "
        "a time open, or use a cap with limit 0 to stop a channel.",
        "/quiet_hours");
  if (!policy.time_zone().empty() && !Zone::exists(policy.time_zone()))
    return invalid("\"" + policy.time_zone() + "\" is no time zone of the IANA database, as Asia/Jakarta is.",
                   "/time_zone");
  return std::nullopt;
}

Result<PolicyPtr> compile_policy(const v1::DeliveryPolicy& policy) {
  if (auto error = check_policy(policy)) return *error;
  auto out = std::make_shared<Policy>();
  out->caps.assign(policy.caps().begin(), policy.caps().end());
  for (const auto& hours : policy.quiet_hours()) out->quiet.push_back(ready(hours));
  if (!policy.time_zone().empty()) {
    bool found = false;
    out->zone = Zone::find(policy.time_zone(), found);
  }
  return PolicyPtr(std::move(out));
}

}  // namespace cx::delivery
