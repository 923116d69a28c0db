#include <algorithm>
#include <fmt/format.h>

#include "runtime/address.hpp"
#include "runtime/entity/host_state.hpp"
#include "runtime/entity/route.hpp"

// The outbox: messages to other entities, delivered at least once; those that cannot be become dead letters.

namespace cx {
namespace {

constexpr std::size_t kInFlight = 256;        // messages of a shard that are with their receivers
constexpr std::int64_t kUnanswered = 5'000;   // milliseconds until a message is sent again
constexpr std::int64_t kShortestPause = 100;  // milliseconds between attempts, doubled each time
constexpr std::int64_t kLongestPause = 60'000;

std::int64_t pause_after(std::uint32_t times) {
  return std::min(kLongestPause, kShortestPause << std::min(times, 16u));
}

}  // namespace

/// Whether trying again is of no use.
bool Host::State::is_final(const Error& error, std::uint32_t attempts) const {
  switch (error.code) {
    case Code::overloaded:
    case Code::unavailable:
    case Code::deadline_exceeded:
      return false;
    case Code::internal:
      return attempts >= options.delivery_attempts;
    default:
      return true;
  }
}

void Host::State::post_letters(const Slot& slot, const v1::JournalRecord& record) {
  Shard& shard = *slot.shard;
  for (int i = 0; i < record.outbox_size(); ++i) {
    const LetterId id{record.sequence(), static_cast<std::uint32_t>(i)};
    auto& letter = shard.outbox[id];
    letter.entry.set_from(record.entity());
    *letter.entry.mutable_message() = record.outbox(i);
    letter.entry.set_at(record.now());
    write(shard, Table::outbox, outbox_key(id.sequence, id.index), letter.entry.SerializeAsString());
    shard.unsent.insert(id);
  }
  if (filling.senders.empty() || filling.senders.back() != &shard) filling.senders.push_back(&shard);
  filling.urgent = true;
}

/// Sends what is committed, in order, as far as the window goes.
void Host::State::send_letters(Shard& shard) {
  while (shard.in_flight < kInFlight && !shard.unsent.empty()) {
    const auto id = *shard.unsent.begin();
    if (id.sequence > shard.committed) return;
    shard.unsent.erase(shard.unsent.begin());
    ++shard.in_flight;
    send_letter(shard, id, shard.outbox.at(id));
  }
}

void Host::State::send_letter(Shard& shard, LetterId id, Letter& letter) {
  const auto& message = letter.entry.message();
  const auto to = route(kinds, message.to(), message.command());
  if (!to) {
    return bury(shard, id, 1, to.error());
  }
  Request request = *to;
  request.source = fmt::format("shard/{}", shard.id);
  request.sequence = id.number();
  request.settled = shard.outbox.begin()->first.number();
  request.actor = letter.entry.from();
  ++letter.sent;
  letter.retry_at = now() + kUnanswered;
  repeats.emplace(letter.retry_at, std::pair(shard.id, id));
  port.send(shard.id, std::move(request),
            [this, shard = shard.id, generation = shard.generation, id](const Answer& answer) {
              delivered(shard, generation, id, answer);
              settle();
            });
}

void Host::State::delivered(std::uint32_t to, std::uint64_t generation, LetterId id, const Answer& answer) {
  Shard& shard = shards.at(to);
  if (shard.generation != generation) return;
  const auto found = shard.outbox.find(id);
  if (found == shard.outbox.end() || found->second.buried) return;  // answered before
  auto& letter = found->second;
  if (!answer) {
    if (letter.pausing) return;  // the answer came twice
    if (answer.error().code == Code::internal) ++letter.attempts;
    if (is_final(answer.error(), letter.attempts)) {
      bury(shard, id, letter.sent, answer.error());
      return send_letters(shard);
    }
    letter.retry_at = now() + pause_after(letter.sent);
    repeats.emplace(letter.retry_at, std::pair(to, id));
    letter.pausing = true;  // others need not wait for it
    --shard.in_flight;
    return send_letters(shard);
  }
  write(shard, Table::outbox, outbox_key(id.sequence, id.index), std::nullopt);
  if (!letter.pausing) --shard.in_flight;
  shard.outbox.erase(found);
  send_letters(shard);
}

/// Takes a message out of the outbox and keeps it for a person to look at.
void Host::State::bury(Shard& shard, LetterId id, std::uint32_t attempts, const Error& why) {
  const auto found = shard.outbox.find(id);
  v1::DeadLetter dead;
  dead.set_attempts(attempts);
  const auto& entry = found->second.entry;
  dead.set_id(fmt::format("{}-{}-{}", shard.id, id.sequence, id.index));
  dead.set_from(entry.from());
  *dead.mutable_message() = entry.message();
  dead.mutable_message_id()->set_source(fmt::format("shard/{}", shard.id));
  dead.mutable_message_id()->set_sequence(id.number());
  dead.set_reason(why.type);
  dead.set_detail(why.detail);
  dead.set_first_at(entry.at());
  dead.set_last_at(now());
  const auto key = outbox_key(id.sequence, id.index);
  write(shard, Table::dead_letters, key, dead.SerializeAsString());
  write(shard, Table::outbox, key, std::nullopt);
  found->second.buried = true;
  found->second.retry_at = 0;
  if (!found->second.pausing) --shard.in_flight;
  // Only then: until its end is on disk, nobody may take it for settled.
  answer_when(
      filling.number, shard,
      [&shard, generation = shard.generation, id](const Answer&) {
        if (shard.generation == generation) shard.outbox.erase(id);
      },
      MessagePtr());
}

void Host::State::repeat_letters(std::int64_t now) {
  while (!repeats.empty() && repeats.begin()->first <= now) {
    const auto [at, which] = *repeats.begin();
    repeats.erase(repeats.begin());
    Shard& shard = shards.at(which.first);
    const auto found = shard.outbox.find(which.second);
    if (found == shard.outbox.end() || found->second.retry_at != at) continue;  // answered, or put off
    if (found->second.pausing) ++shard.in_flight;
    found->second.pausing = false;
    send_letter(shard, which.second, found->second);
  }
}

void Host::State::resolve(std::uint32_t id, std::string letter, bool replay,
                          std::function<void(std::optional<Error>)> respond) {
  Shard* to = shard(id);
  if (to == nullptr || to->phase != Shard::Phase::open)
    return respond(Error{Code::unavailable, "unavailable",
                         fmt::format("Shard {} is not served at the moment.", id), ""});
  if (!to->resolving.insert(letter).second)
    return respond(Error{Code::conflict, "in-progress",
                         "Somebody else is resolving this dead letter; look whether it is still there.", ""});
  respond = [to, generation = to->generation, letter,
             respond = std::move(respond)](std::optional<Error> error) {
    if (to->generation == generation) to->resolving.erase(letter);
    respond(std::move(error));
  };
  port.offload([this, to, generation = to->generation, id, letter, replay, respond]() -> HostPort::Then {
    const RowKey key{id, letter};
    auto row = std::make_shared<Result<std::optional<std::string>>>(
        std::move(journal.get(Table::dead_letters, {&key, 1}).front()));
    return [=, this] {
      v1::DeadLetter dead;
      if (!*row) return respond(row->error());
      if (to->generation != generation)
        return respond(
            Error{Code::unavailable, "unavailable", "The shard has just been opened anew; retry.", ""});
      if (!**row || !dead.ParseFromString(***row))
        return respond(Error{Code::not_found, "not-found", "There is no such dead letter.", ""});
      Shard& shard = *to;
      auto& append = append_to(shard);
      write(shard, Table::dead_letters, letter, std::nullopt);
      if (replay) {
        auto record = next_record(shard, dead.from());
        *record.add_outbox() = dead.message();
        append.records.push_back(record.SerializeAsString());
        Slot from;
        from.shard = &shard;
        post_letters(from, record);
      }
      answer_when(
          filling.number, shard,
          [respond](const Answer& answer) { respond(answer ? std::nullopt : std::optional(answer.error())); },
          MessagePtr());
      settle();
    };
  });
}

}  // namespace cx
