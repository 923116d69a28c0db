#include <algorithm>
#include <fmt/format.h>

#include "runtime/entity/host_state.hpp"
#include "runtime/entity/stored.hpp"

// What a host reads from the journal, on threads that may block.

namespace cx {
namespace {

/// The index of an outbox_key: its last four bytes.
std::uint32_t index_of(std::string_view key) {
  std::uint32_t index = 0;
  for (const char c : key.substr(8)) index = index << 8 | static_cast<unsigned char>(c);
  return index;
}

std::optional<Error> read_tail(Journal& journal, std::uint32_t shard, Opened& into) {
  std::optional<Error> broken;
  v1::JournalRecord record;
  auto error = journal.read(shard, into.checkpoint, [&](std::uint64_t sequence, std::string_view bytes) {
    if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      broken = unreadable(shard, fmt::format("Record {}", sequence));
      return false;
    }
    // A dead letter sent again is a record of nobody's decision.
    if (record.has_command() || record.cleared_size() > 0) into.tail[record.entity()].push_back(sequence);
    return true;
  });
  return error ? error : broken;
}

std::optional<Error> read_outbox(Journal& journal, std::uint32_t shard, Opened& into) {
  std::optional<Error> broken;
  auto error = journal.scan(Table::outbox, shard, "", [&](std::string_view key, std::string_view value) {
    auto& [id, entry] = into.outbox.emplace_back();
    id.sequence = static_cast<std::uint64_t>(key_number(key));
    id.index = index_of(key);
    if (entry.ParseFromArray(value.data(), static_cast<int>(value.size()))) return true;
    broken = unreadable(shard, fmt::format("Message {}-{} in the outbox", id.sequence, id.index));
    return false;
  });
  return error ? error : broken;
}

std::optional<Error> read_shard(Journal& journal, std::uint32_t shard, Opened& into) {
  const auto checkpoint = checkpoint_of(journal, shard);
  if (!checkpoint) return checkpoint.error();
  into.checkpoint = std::max(*checkpoint, into.head.first - 1);
  if (auto error = read_tail(journal, shard, into)) return error;
  if (auto error = read_outbox(journal, shard, into)) return error;
  return journal.scan(Table::reminders, shard, "", [&](std::string_view key, std::string_view) {
    into.next_due = key_number(key);
    return false;
  });
}

std::optional<Error> apply_record(Loaded& one, std::string_view bytes, std::uint32_t shard,
                                  std::uint64_t sequence) {
  v1::JournalRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return unreadable(shard, fmt::format("Record {}", sequence));
  for (const auto& event : record.events())
    if (auto error = one.entity->apply(record.schema(), event)) return error;
  if (!one.extras && (record.has_id() || record.reminders_size() > 0 || record.cleared_size() > 0))
    one.extras = std::make_unique<Extras>();
  if (one.extras) one.extras->apply(record);
  one.sequence = sequence;
  if (one.first_dirty == 0) one.first_dirty = sequence;
  return std::nullopt;
}

std::optional<Error> load_one(const Journal& journal, const LoadJob& job,
                              const std::optional<std::string>& row, Loaded& one) {
  if (row) {
    v1::Snapshot snapshot;
    if (!snapshot.ParseFromString(*row)) return unreadable(job.shard, "The snapshot of " + job.address);
    if (auto error = one.entity->load(snapshot.schema(), snapshot.state())) return error;
    one.sequence = snapshot.sequence();
    if (snapshot.reminders_size() > 0 || snapshot.seen_size() > 0) {
      one.extras = std::make_unique<Extras>();
      one.extras->load(snapshot);
    }
  }
  for (const auto sequence : job.tail) {
    if (sequence <= one.sequence) continue;
    std::optional<Error> broken;
    bool found = false;
    auto error = journal.read(job.shard, sequence - 1, [&](std::uint64_t at, std::string_view bytes) {
      found = at == sequence;
      if (found) broken = apply_record(one, bytes, job.shard, sequence);
      return false;
    });
    if (error) return error;
    if (broken) return broken;
    if (!found) return unreadable(job.shard, fmt::format("Record {}", sequence));
  }
  return std::nullopt;
}

}  // namespace

std::vector<Opened> open_shards(Journal& journal, std::span<const ToOpen> shards) {
  std::vector<Opened> all(shards.size());
  std::map<std::optional<std::uint64_t>, std::vector<std::size_t>> by_epoch;
  for (std::size_t i = 0; i < shards.size(); ++i) by_epoch[shards[i].epoch].push_back(i);
  for (const auto& [epoch, which] : by_epoch) {
    std::vector<std::uint32_t> ids;
    for (const auto i : which) ids.push_back(shards[i].shard);
    const auto heads = journal.open(ids, epoch);
    for (std::size_t n = 0; n < which.size(); ++n) {
      auto& one = all[which[n]];
      if (!heads[n]) {
        one.error = heads[n].error();
        continue;
      }
      one.head = *heads[n];
      one.error = read_shard(journal, ids[n], one);
    }
  }
  return all;
}

std::vector<Loaded> load_entities(const Journal& journal, std::span<const LoadJob> jobs) {
  std::vector<RowKey> keys;
  keys.reserve(jobs.size());
  for (const auto& job : jobs) keys.push_back({job.shard, job.address});
  const auto rows = journal.get(Table::snapshots, keys);
  std::vector<Loaded> all(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    auto& one = all[i];
    one.address = jobs[i].address;
    one.load = jobs[i].load;
    if (!rows[i]) {
      one.error = rows[i].error();
      continue;
    }
    try {
      one.entity = jobs[i].kind->make(jobs[i].address);
      one.error = load_one(journal, jobs[i], *rows[i], one);
    } catch (const std::exception& e) {
      one.error = Error{Code::internal, "handler-failed",
                        fmt::format("{} cannot be woken: {}", jobs[i].address, e.what()), ""};
    }
  }
  return all;
}

}  // namespace cx
