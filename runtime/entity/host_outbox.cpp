#include <algorithm>
#include <fmt/format.h>

#include "runtime/address.hpp"
#include "runtime/entity/host_state.hpp"
#include "runtime/entity/route.hpp"

// The outbox: messages to other entities and to endpoints, delivered at least once; those that cannot be
// become dead letters.

namespace cx {
namespace {

constexpr std::size_t kInFlight = 256;       // messages of a shard that are with other entities
constexpr std::size_t kAtEndpoints = 1'024;  // messages of a shard that are with endpoints, who may take long
constexpr std::int64_t kUnanswered = 5'000;  // milliseconds until a message is sent again
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

/// Sends a message of a decision that is in the batch that fills: within the shard at once, elsewhere once
/// that is committed.
void Host::State::post(Shard& shard, LetterId id, const std::string& from, const Effects::Letter& letter,
                       const v1::Outgoing& message) {
  auto to = route_letter(kinds, letter.to, letter.command);
  filling.urgent = true;
  if (to && to->kind != nullptr && to->shard == shard.id) {
    to->actor = from;
    handovers.push_back({&shard, shard.generation, id, std::move(*to), true});
    ++shard.fresh;
  } else {
    const auto& posted = keep(shard, id, from, message, to);
    shard.window(posted.to).unsent.insert(id);
  }
}

Posted& Host::State::put(Shard& shard, LetterId id, v1::OutboxEntry entry, const Result<Request>& to) {
  auto& posted = shard.outbox[id];
  posted.entry = std::move(entry);
  if (to && to->endpoint != nullptr) posted.to = Posted::To::endpoint;
  if (to && to->kind != nullptr && to->shard != shard.id) {
    posted.to = Posted::To::other_shard;
    shard.to_others.insert(id);
  }
  return posted;
}

/// Puts it into the outbox, with a row to be written if it is still there when the batch is committed.
Posted& Host::State::keep(Shard& shard, LetterId id, const std::string& from, v1::Outgoing message,
                          const Result<Request>& to) {
  v1::OutboxEntry entry;
  entry.set_from(from);
  *entry.mutable_message() = std::move(message);
  entry.set_at(now());
  auto& posted = put(shard, id, std::move(entry), to);
  posted.batch = filling.number;
  filling.posted.push_back({&shard, shard.generation, id});
  filling.bytes += posted.entry.message().command().bytes().size();
  if (filling.senders.empty() || filling.senders.back() != &shard) filling.senders.push_back(&shard);
  filling.urgent = true;
  return posted;
}

void Host::State::write_posted() {
  for (auto& next : handovers)
    if (next.fresh && next.shard->generation == next.generation) {
      --next.shard->fresh;
      keep(next);
    }
  for (const auto& [shard, generation, id] : filling.posted) {
    if (shard->generation != generation) continue;
    const auto found = shard->outbox.find(id);
    if (found == shard->outbox.end() || found->second.buried) continue;
    write(*shard, Table::outbox, outbox_key(id.sequence, id.index), found->second.entry.SerializeAsString());
  }
}

void Host::State::forget(Shard& shard, LetterId id) {
  shard.outbox.erase(id);
  shard.to_others.erase(id);
  shard.broke.erase(id);
}

/// Sends what is committed, in order, as far as the windows go.
void Host::State::send_letters(Shard& shard) {
  if (shard.phase != Shard::Phase::open) return;  // the next owner does
  send_letters(shard, shard.entities, kInFlight);
  send_letters(shard, shard.endpoints, kAtEndpoints);
}

void Host::State::send_letters(Shard& shard, Shard::Window& window, std::size_t most) {
  while (window.in_flight < most && !window.unsent.empty()) {
    const auto id = *window.unsent.begin();
    if (id.sequence > shard.committed) return;
    window.unsent.erase(window.unsent.begin());
    ++window.in_flight;
    send_letter(shard, id, shard.outbox.at(id));
  }
}

void Host::State::send_letter(Shard& shard, LetterId id, Posted& letter) {
  const auto& message = letter.entry.message();
  auto to = route_letter(kinds, message.to(), message.command());
  if (!to) return bury(shard, id, 1, to.error());
  ++letter.sent;
  letter.retry_at = 0;
  to->actor = letter.entry.from();
  if (letter.to == Posted::To::here)
    return handovers.push_back({&shard, shard.generation, id, std::move(*to), false});
  auto respond = [this, shard = shard.id, generation = shard.generation, id](const Answer& answer) {
    delivered(shard, generation, id, answer);
    settle();
  };
  if (letter.to == Posted::To::endpoint)
    return port.deliver(*to->endpoint,
                        {message.to(), letter.entry.from(), std::move(to->command),
                         letter_name(shard.id, id.sequence, id.index)},
                        std::move(respond));
  to->source = shard.source;
  to->sequence = id.number();
  to->settled = shard.to_others.begin()->number();
  letter.retry_at = now() + kUnanswered;
  repeats.emplace(letter.retry_at, std::pair(shard.id, id));
  port.send(shard.id, std::move(*to), std::move(respond));
}

void Host::State::delivered(std::uint32_t from, std::uint64_t generation, LetterId id, const Answer& answer) {
  Shard& shard = shards.at(from);
  if (shard.generation != generation) return;
  const auto found = shard.outbox.find(id);
  if (found == shard.outbox.end() || found->second.buried) return;  // answered before
  auto& letter = found->second;
  auto& in_flight = shard.window(letter.to).in_flight;
  if (!answer) {
    if (letter.pausing) return;  // the answer came twice
    if (answer.error().code == Code::internal) ++letter.attempts;
    if (is_final(answer.error(), letter.attempts)) {
      bury(shard, id, letter.sent, answer.error());
      return send_letters(shard);
    }
    letter.retry_at = now() + pause_after(letter.sent);
    repeats.emplace(letter.retry_at, std::pair(from, id));
    letter.pausing = true;  // others need not wait for it
    --in_flight;
    return send_letters(shard);
  }
  if (!letter.pausing) --in_flight;
  erase_row(shard, id, letter);
  forget(shard, id);
  send_letters(shard);
}

/// With whatever the batch that fills brings about. A row that it would have written is not written at all.
void Host::State::erase_row(Shard& shard, LetterId id, const Posted& letter) {
  if (letter.batch != filling.number)
    write(shard, Table::outbox, outbox_key(id.sequence, id.index), std::nullopt);
}

/// Takes a message out of the outbox and keeps it for a person to look at.
void Host::State::bury(Shard& shard, LetterId id, std::uint32_t attempts, const Error& why) {
  auto& letter = shard.outbox.at(id);
  v1::DeadLetter dead;
  dead.set_attempts(attempts);
  dead.set_from(letter.entry.from());
  *dead.mutable_message() = letter.entry.message();
  dead.mutable_message_id()->set_source(shard.source);
  dead.mutable_message_id()->set_sequence(id.number());
  dead.set_first_at(letter.entry.at());
  write_dead(shard, id, std::move(dead), why);
  erase_row(shard, id, letter);
  letter.buried = true;
  letter.retry_at = 0;
  if (!letter.pausing) --shard.window(letter.to).in_flight;
  // Only then: until its end is on disk, nobody may take it for settled.
  answer_when(
      filling.number, shard,
      [this, &shard, generation = shard.generation, id](const Answer&) {
        if (shard.generation == generation) forget(shard, id);
      },
      MessagePtr());
}

void Host::State::write_dead(Shard& shard, LetterId id, v1::DeadLetter dead, const Error& why) {
  dead.set_id(letter_name(shard.id, id.sequence, id.index));
  dead.set_reason(why.type);
  dead.set_detail(why.detail);
  dead.set_last_at(now());
  write(shard, Table::dead_letters, outbox_key(id.sequence, id.index), dead.SerializeAsString());
}

void Host::State::repeat_letters(std::int64_t now) {
  while (!repeats.empty() && repeats.begin()->first <= now) {
    const auto [at, which] = *repeats.begin();
    repeats.erase(repeats.begin());
    Shard& shard = shards.at(which.first);
    const auto found = shard.outbox.find(which.second);
    if (shard.phase != Shard::Phase::open) continue;
    if (found == shard.outbox.end() || found->second.retry_at != at) continue;  // answered, or put off
    if (found->second.pausing) ++shard.window(found->second.to).in_flight;
    found->second.pausing = false;
    send_letter(shard, which.second, found->second);
  }
}

void Host::State::connected(std::string_view endpoint) {
  const auto at = now();
  for (auto& [number, shard] : shards) {
    for (auto& [id, letter] : shard.outbox) {
      if (letter.to != Posted::To::endpoint || !letter.pausing || letter.buried) continue;
      const std::string_view to = letter.entry.message().to();
      if (to.substr(0, to.find('/')) != endpoint) continue;
      letter.retry_at = at;
      repeats.emplace(at, std::pair(number, id));
    }
  }
  repeat_letters(at);
}

void Host::State::resolve(std::uint32_t id, std::string letter, bool replay,
                          std::function<void(std::optional<Error>)> respond) {
  Shard* to = shard(id);
  if (to == nullptr || to->phase != Shard::Phase::open)
    return respond(options.clustered ? not_here(id)
                                     : Error{Code::unavailable, "unavailable",
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
      if (to->generation != generation || to->phase != Shard::Phase::open)
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
        const auto& posted = keep(shard, {record.sequence(), 0}, dead.from(), dead.message(),
                                  route_letter(kinds, dead.message().to()));
        shard.window(posted.to).unsent.insert({record.sequence(), 0});
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
