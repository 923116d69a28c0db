#include "actors/campaign/timing.hpp"

#include <google/protobuf/util/time_util.h>
#include <optional>

namespace cx::campaign {
namespace {

using google::protobuf::util::TimeUtil;

constexpr const char* kGoLive = "go-live";
constexpr const char* kEnd = "end";

std::optional<std::int64_t> go_live_at(const v1::CampaignState& state) {
  if (state.stage() != v1::CAMPAIGN_STAGE_SCHEDULED) return std::nullopt;
  return ms_of(state.scheduled_at());
}

std::optional<std::int64_t> end_at(const v1::CampaignState& state) {
  const bool running = state.stage() == v1::CAMPAIGN_STAGE_SCHEDULED ||
                       state.stage() == v1::CAMPAIGN_STAGE_LIVE || state.stage() == v1::CAMPAIGN_STAGE_PAUSED;
  if (!running || !state.content().has_end()) return std::nullopt;
  return ms_of(state.content().end());
}

}  // namespace

bool is_valid(const Timestamp& time) {
  return time.seconds() >= TimeUtil::kTimestampMinSeconds &&
         time.seconds() <= TimeUtil::kTimestampMaxSeconds && time.nanos() >= 0 &&
         time.nanos() < 1'000'000'000;
}

Timestamp time_of(std::int64_t unix_ms) {
  return TimeUtil::MillisecondsToTimestamp(unix_ms);
}

std::int64_t ms_of(const Timestamp& time) {
  return time.seconds() * 1'000 + (time.nanos() + 999'999) / 1'000'000;
}

bool before(const Timestamp& a, const Timestamp& b) {
  return a.seconds() != b.seconds() ? a.seconds() < b.seconds() : a.nanos() < b.nanos();
}

std::string text_of(const Timestamp& time) {
  return TimeUtil::ToString(time);
}

void set_reminders(const v1::CampaignState& before, const v1::CampaignState& after, Effects& effects) {
  const auto go_live = go_live_at(after);
  if (go_live && go_live != go_live_at(before)) {
    v1::GoLiveDue due;
    *due.mutable_scheduled_at() = after.scheduled_at();
    remind_again(due, effects);
  } else if (!go_live && go_live_at(before)) {
    effects.cancel(kGoLive);
  }
  const auto end = end_at(after);
  if (end && end != end_at(before)) {
    v1::EndDue due;
    *due.mutable_end() = after.content().end();
    remind_again(due, effects);
  } else if (!end && end_at(before)) {
    effects.cancel(kEnd);
  }
}

void remind_again(const v1::GoLiveDue& due, Effects& effects) {
  effects.remind(kGoLive, ms_of(due.scheduled_at()), due);
}

void remind_again(const v1::EndDue& due, Effects& effects) {
  effects.remind(kEnd, ms_of(due.end()), due);
}

}  // namespace cx::campaign
