#include "tools/campaignctl/when.hpp"

#include <charconv>
#include <fmt/core.h>
#include <google/protobuf/util/time_util.h>

#include "tools/campaignctl/text.hpp"

namespace cx::ctl {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;

std::string at(std::chrono::system_clock::time_point time) {
  const auto ms = std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
  return TimeUtil::ToString(TimeUtil::MillisecondsToTimestamp(ms));
}

}  // namespace

std::optional<milliseconds> parse_span(std::string_view text) {
  if (const auto span = parse_duration(text)) return span;
  int days = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), days);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error != std::errc() || unit != "d" || days < 1 || days > 36525) return {};
  return std::chrono::hours(24) * days;
}

Outcome<std::string> time_of(const std::string& what, const std::string& text, Sense sense,
                             std::chrono::system_clock::time_point now) {
  google::protobuf::Timestamp time;
  if (text.empty() || TimeUtil::FromString(text, &time)) return text;
  if (text == "now") return at(now);
  if (text.size() == 10 && TimeUtil::FromString(text + "T00:00:00Z", &time)) return text + "T00:00:00Z";
  const bool signs = text.front() == '+' || text.front() == '-';
  const bool ahead = signs ? text.front() == '+' : sense == Sense::from_now;
  if (const auto span = parse_span(std::string_view(text).substr(signs ? 1 : 0)))
    return at(ahead ? now + *span : now - *span);
  return usage(
      fmt::format("{} {} is not a time; write 2026-11-21T10:00:00Z, 2026-11-21, or 15m, 2h, 7d for "
                  "that long {}",
                  what, text, sense == Sense::ago ? "ago" : "from now"));
}

}  // namespace cx::ctl
