#include "actors/decision/announce.hpp"

#include "actors/decision/board.hpp"
#include "actors/decision/decision.hpp"
#include "messages/kebab.hpp"
#include "runtime/projection/unreadable.hpp"

namespace cx::decision {

Result<std::vector<Announcement>> announce_outcome(const v1::JournalRecord& record) {
  constexpr std::string_view kPrefix = "OUTCOME_";
  std::vector<Announcement> out;
  v1::DecisionEvent event;
  for (int i = 0; i < record.events_size(); ++i) {
    if (!event.ParseFromString(record.events(i))) return unreadable(record);
    const auto& kept = event.outcome();
    if (!v1::Outcome_IsValid(kept.outcome())) continue;  // of a newer build
    Announcement said;
    said.index = static_cast<std::uint32_t>(i);
    said.type = kebab(v1::Outcome_Name(kept.outcome()).substr(kPrefix.size()));
    said.at = kept.at();
    said.body = std::make_shared<v1::ReportedOutcome>(shown(kept));
    out.push_back(std::move(said));
  }
  return out;
}

}  // namespace cx::decision
