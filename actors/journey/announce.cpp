#include "actors/journey/announce.hpp"

#include <google/protobuf/util/time_util.h>

#include "actors/journey/instance.hpp"
#include "runtime/address.hpp"
#include "runtime/projection/unreadable.hpp"

namespace cx::journey {

Result<std::vector<Announcement>> announce_run(const v1::JournalRecord& record) {
  std::vector<Announcement> out;
  v1::InstanceEvent event;
  v1::InstanceState state;  // as far as the record tells
  for (int i = 0; i < record.events_size(); ++i) {
    if (!event.ParseFromString(record.events(i))) return unreadable(record);
    state.clear_path();
    InstanceEntity::apply(state, event);
    if (state.path().empty()) continue;
    const auto& note = state.path(0);
    auto entry = std::make_shared<v1::PathEntry>();
    *entry->mutable_at() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(note.at());
    entry->set_step(note.step());
    entry->set_what(note.what());
    entry->set_reason(note.reason());
    Announcement said;
    said.index = static_cast<std::uint32_t>(i);
    said.type = is_name(note.what()) ? note.what() : "noted";
    said.at = note.at();
    said.body = std::move(entry);
    out.push_back(std::move(said));
  }
  return out;
}

}  // namespace cx::journey
