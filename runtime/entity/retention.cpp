#include "runtime/entity/retention.hpp"

#include <algorithm>
#include <map>

#include "runtime/entity/history.hpp"
#include "runtime/entity/stored.hpp"

namespace cx {
namespace {

Write base_row(const std::string& address, const EntityKind& kind, const Past& past) {
  v1::Snapshot base;
  base.set_entity(address);
  base.set_sequence(past.sequence);
  base.set_schema(kind.schema());
  base.set_state(past.entity->save());
  base.set_at(past.at);
  past.extras.save(base);
  return {Table::bases, address, base.SerializeAsString()};
}

}  // namespace

Result<std::uint64_t> truncate_shard(Journal& journal, const Kinds& kinds, std::uint32_t shard,
                                     const Cut& cut) {
  const auto head = journal.head(shard);
  if (!head) return head.error();
  const auto checkpoint = checkpoint_of(journal, shard);
  if (!checkpoint) return checkpoint.error();
  const auto last = std::min(cut.upto, *checkpoint);

  struct Fold {
    const EntityKind* kind;
    Past past;
  };
  std::map<std::string, Fold> folds;
  std::uint64_t upto = 0;
  std::optional<Error> broken;
  v1::JournalRecord record;
  auto error = journal.read(shard, head->first - 1, [&](std::uint64_t sequence, std::string_view bytes) {
    if (sequence > last || sequence - head->first >= cut.records) return false;
    if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || record.now() >= cut.before)
      return false;
    auto found = folds.find(record.entity());
    if (found == folds.end()) {
      const auto* kind = kinds.find(std::string_view(record.entity()).substr(0, record.entity().find('/')));
      if (kind == nullptr) return false;
      auto past = base_of(journal, kinds, record.entity());
      if (!past) {
        broken = past.error();
        return false;
      }
      found = folds.emplace(record.entity(), Fold{kind, std::move(*past)}).first;
    }
    broken = advance(found->second.past, record);
    if (!broken) upto = sequence;
    return !broken;
  });
  if (error) return std::move(*error);
  if (broken) return std::move(*broken);
  if (upto == 0) return std::uint64_t{0};
  std::vector<Write> bases;
  for (const auto& [address, fold] : folds) bases.push_back(base_row(address, *fold.kind, fold.past));
  if (error = journal.truncate(shard, upto, bases); error) return std::move(*error);
  return upto - head->first + 1;
}

}  // namespace cx
