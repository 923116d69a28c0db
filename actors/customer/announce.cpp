#include "actors/customer/announce.hpp"

#include <google/protobuf/util/time_util.h>

#include "actors/customer/json.hpp"
#include "actors/customer/timeline.hpp"

namespace cx {

Result<std::vector<Announcement>> announce_customer(const v1::JournalRecord& record) {
  using google::protobuf::util::TimeUtil;
  std::vector<Announcement> out;
  for (int i = 0; i < record.events_size(); ++i) {
    auto row = timeline_row(record, record.events(i));
    if (!row) return row.error();
    if (!*row) continue;
    auto entry = std::make_shared<v1::TimelineEntry>(std::move((*row)->entry));
    to_struct((*row)->details, *entry->mutable_details());
    Announcement said;
    said.index = static_cast<std::uint32_t>(i);
    said.type = entry->type();
    said.at = entry->has_happened() ? TimeUtil::TimestampToMilliseconds(entry->happened()) : record.now();
    said.body = std::move(entry);
    out.push_back(std::move(said));
  }
  return out;
}

}  // namespace cx
