#include <algorithm>
#include <fmt/format.h>

#include "runtime/entity/host_state.hpp"
#include "runtime/entity/route.hpp"
#include "runtime/entity/stored.hpp"

// Reminders: a shard knows when its next one is due, and reads those that are from its index, a round at a
// time.

namespace cx {
namespace {

constexpr std::size_t kRound = 1'000;
constexpr std::int64_t kPause = 1'000;  // milliseconds, before one that could not fire is tried again

}  // namespace

void Host::State::index_reminders(const Slot& slot, const v1::JournalRecord& record) {
  Shard& shard = *slot.shard;
  const auto erase = [&](const std::string& name) {
    if (const auto due = slot.extras ? slot.extras->due(name) : 0; due != 0)
      write(shard, Table::reminders, reminder_key(due, *slot.address, name), std::nullopt);
  };
  for (const auto& name : record.cleared()) erase(name);
  v1::ReminderEntry entry;
  entry.set_entity(*slot.address);
  for (const auto& reminder : record.reminders()) {
    erase(reminder.name());
    *entry.mutable_reminder() = reminder;
    write(shard, Table::reminders, reminder_key(reminder.due(), *slot.address, reminder.name()),
          entry.SerializeAsString());
    note_due(shard, reminder.due());
  }
}

void Host::State::note_due(Shard& shard, std::int64_t at) {
  if (at >= shard.next_due) return;
  if (!shard.firing) {
    due.erase({shard.next_due, shard.id});
    due.emplace(at, shard.id);
  }
  shard.next_due = at;
}

void Host::State::fire_due(std::int64_t now) {
  while (!due.empty() && due.begin()->first <= now) {
    Shard& shard = shards.at(due.begin()->second);
    due.erase(due.begin());
    shard.next_due = Shard::kNever;
    shard.firing = true;
    // The index must have what is being written.
    answer_when(
        shard.append >= 0 ? filling.number
        : under_way       ? under_way->number
                          : 0,
        shard,
        [this, &shard, generation = shard.generation](const Answer&) {
          if (shard.generation != generation || shard.phase != Shard::Phase::open) return;
          read_due(shard);
        },
        MessagePtr());
  }
}

void Host::State::read_due(Shard& shard) {
  port.offload(
      [this, &shard, generation = shard.generation, failed = shard.failed, now = now()]() -> HostPort::Then {
        std::vector<std::pair<std::string, v1::ReminderEntry>> rows;
        std::int64_t next = Shard::kNever;
        const auto error =
            journal.scan(Table::reminders, shard.id, "", [&](std::string_view key, std::string_view value) {
              if (key_number(key) > now || rows.size() == kRound) {
                next = std::min(next, key_number(key));
                return false;
              }
              if (const auto at = failed.find(std::string(key));
                  at != failed.end() && at->second.retry_at > now) {
                next = std::min(next, at->second.retry_at);
                return true;
              }
              auto& [name, entry] = rows.emplace_back();
              name = key;
              entry.ParseFromArray(value.data(), static_cast<int>(value.size()));
              return true;
            });
        if (error) next = now + kPause;
        return [this, &shard, generation, next, rows = std::move(rows)]() mutable {
          if (shard.generation != generation || shard.phase != Shard::Phase::open) return;
          fire(shard, std::move(rows), next);
          settle();
        };
      });
}

void Host::State::fire(Shard& shard, std::vector<std::pair<std::string, v1::ReminderEntry>> rows,
                       std::int64_t next_due) {
  shard.next_due = std::min(shard.next_due, next_due);
  shard.to_fire = rows.size() + 1;
  const auto generation = shard.generation;
  for (auto& [key, entry] : rows) {
    if (shard.generation != generation) return;
    auto request = route(kinds, entry.entity(), entry.reminder().command());
    Job job;
    job.reminder = entry.reminder().name();
    job.due = entry.reminder().due();
    if (const auto failed = shard.failed.find(key); failed != shard.failed.end()) {
      job.attempts = failed->second.attempts;
      job.failure = failed->second.why;
    }
    job.respond = [this, &shard, generation, key = key](const Answer& answer) {
      if (shard.generation == generation) fired(shard, key, answer);
    };
    if (!request) {
      bury_unknown(shard, key, entry, request.error());
      --shard.to_fire;
      continue;
    }
    job.request = std::move(*request);
    job.request.actor = entry.entity();
    const auto* kind = job.request.kind;
    handle(std::move(job), shard.id, kind);
  }
  if (shard.generation == generation && --shard.to_fire == 0) round_over(shard);
}

void Host::State::fired(Shard& shard, const std::string& key, const Answer& answer) {
  if (answer) {
    shard.failed.erase(key);
  } else {
    auto& failed = shard.failed[key];
    if (answer.error().code == Code::internal) ++failed.attempts;
    failed.retry_at = now() + kPause;
    failed.why = answer.error();
    shard.next_due = std::min(shard.next_due, failed.retry_at);
  }
  if (--shard.to_fire == 0) round_over(shard);
}

void Host::State::round_over(Shard& shard) {
  shard.firing = false;
  if (shard.next_due != Shard::kNever && shard.phase == Shard::Phase::open)
    due.emplace(shard.next_due, shard.id);
}

/// A reminder that nobody here understands: not its entity, or not its command.
void Host::State::bury_unknown(Shard& shard, const std::string& key, const v1::ReminderEntry& entry,
                               const Error& why) {
  auto& append = append_to(shard);
  const auto record = next_record(shard, entry.entity());  // whose sequence names the letter
  append.records.push_back(record.SerializeAsString());

  v1::DeadLetter dead;
  dead.set_from(entry.entity());
  dead.mutable_message()->set_to(entry.entity());
  *dead.mutable_message()->mutable_command() = entry.reminder().command();
  dead.set_attempts(1);
  dead.set_first_at(entry.reminder().due());
  write_dead(shard, {record.sequence(), 0}, std::move(dead), why);
  write(shard, Table::reminders, key, std::nullopt);
}

/// A reminder whose command fails for good: the entity is rid of it, and a person can look at it.
void Host::State::bury_reminder(Slot& slot, Job& job, const Error& why) {
  Shard& shard = *slot.shard;
  auto& append = append_to(shard);
  auto record = next_record(shard, *slot.address);
  record.add_cleared(job.reminder);
  index_reminders(slot, record);
  slot.extras->apply(record);

  v1::DeadLetter dead;
  dead.set_from(*slot.address);
  dead.mutable_message()->set_to(*slot.address);
  set_typed(*dead.mutable_message()->mutable_command(), *job.request.command);
  dead.set_attempts(job.attempts + 1);
  dead.set_first_at(job.due);
  write_dead(shard, {record.sequence(), 0}, std::move(dead), why);
  append.records.push_back(record.SerializeAsString());
  changed(slot, record.sequence(), record.now(), false);
  answer_when(slot.batch, shard, std::move(job.respond), MessagePtr());
}

}  // namespace cx
