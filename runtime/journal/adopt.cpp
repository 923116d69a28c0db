// How a shard of a cluster begins with what another journal had; the rest is in jetstream_journal.cpp.
//
// All of it becomes a checkpoint, of before the first message; then the first message opens the shard behind
// the last record. Whoever reads that message and has no such record takes the checkpoint. Until the message
// is there, nothing has happened.

#include "runtime/journal/jetstream_hold.hpp"

namespace cx {
namespace {

constexpr std::uint64_t kAdopted = 0x74706f6461;  // the attempt of such a message

Error not_empty(std::uint32_t shard) {
  return {Code::conflict, "not-empty",
          "Shard " + std::to_string(shard) +
              " of the cluster has data of its own. Nothing of it was changed. Choose another name for the "
              "cluster, or delete its streams if nobody needs what they hold.",
          ""};
}

}  // namespace

/// Whether the shard's only message is that of an adoption; false for a shard that has none.
Result<bool> JetStreamJournal::adopted(std::uint32_t shard) const {
  const auto last = parts_.jetstream.last(writer_.stream(), writer_.subject(shard));
  if (!last && last.error().type == "not-found") return false;
  if (!last) return last.error();
  const auto entry = parse_entry(last->payload);
  if (!entry) return entry.error();
  if (entry->attempt() != kAdopted || !entry->opened()) return not_empty(shard);
  return true;
}

std::optional<Error> JetStreamJournal::check_adoptable() const {
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    if (auto error = replica_->damage(shard)) return error;
    if (replica_->place(shard).seen == 0) continue;
    const auto done = adopted(shard);
    if (!done) return done.error();
  }
  return std::nullopt;
}

Result<bool> JetStreamJournal::adopt(std::uint32_t shard, const Journal& from) {
  const auto head = from.head(shard);
  if (!head) return head.error();
  const Hold hold(*this, {shard});
  if (auto error = refusal(shard)) return std::move(*error);
  const auto done = adopted(shard);
  if (!done) return done.error();
  if (*done) return false;
  const auto checkpoint = checkpoints_.begin(shard, from);
  if (!checkpoint) return checkpoint.error();
  v1::ShardEntry entry;
  entry.set_epoch(head->epoch);
  entry.set_after(head->last);
  entry.set_attempt(kAdopted);
  entry.set_opened(true);
  const auto stored = parts_.jetstream.publish(writer_.subject(shard), entry.SerializeAsString(), {}, 0);
  if (!stored) return stored.error();
  if (!replica_->wait(shard, *stored, deadline())) {
    if (auto error = replica_->damage(shard); error && error->type == "corrupt") return std::move(*error);
    return Error{Code::unavailable, "unavailable",
                 "Shard " + std::to_string(shard) +
                     " is stored, but did not come back from NATS in time. Start the migration again.",
                 ""};
  }
  return true;
}

}  // namespace cx
