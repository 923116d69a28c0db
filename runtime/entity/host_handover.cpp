#include <utility>

#include "runtime/entity/host_state.hpp"
#include "runtime/entity/stored.hpp"

// Messages between entities of one shard. They are handed over at once, in memory, and what comes of them is
// committed together with what they came of: the shard has one log, so the receiver's record is on disk only
// if the sender's is, and if neither gets there, all of the shard's memory goes. Only one that is not handled
// before its batch is committed has a row in the outbox, which goes with the receiver's record: nobody need
// remember having had it.

namespace cx {
namespace {

constexpr std::size_t kAtOnce = 1'000;  // two entities that answer each other for ever must not hold the host
constexpr std::size_t kMostFragile = 1'000;  // of a shard; past it, it forgets who they were

}  // namespace

/// One after the other: what they lead to is handed over in its turn, never from within. What is too much
/// waits for the next batch.
void Host::State::hand_over() {
  for (std::size_t n = 0; !handovers.empty() && !stopped && !filling.handed_over; ++n) {
    auto next = std::move(handovers.front());
    handovers.pop_front();
    hand_over(std::move(next));
    filling.handed_over = filling.handed_over || n + 1 >= kAtOnce;
  }
}

void Host::State::hand_over(Handover next) {
  Shard& shard = *next.shard;
  const auto generation = next.generation;
  if (shard.generation != generation) return;     // gone with the decision that sent it, or read again
  if (shard.phase != Shard::Phase::open) return;  // it is written down; the next owner hands it over
  if (next.fresh) {
    --shard.fresh;
  } else {
    const auto found = shard.outbox.find(next.id);
    if (found == shard.outbox.end() || found->second.buried) return;
    if (const auto broke = shard.broke.find(next.id);
        broke != shard.broke.end() && broke->second.times >= options.delivery_attempts) {
      bury(shard, next.id, broke->second.times, broke->second.why);
      return send_letters(shard);
    }
  }
  const auto& kind = hosted.at(next.request.kind);
  if (next.id.sequence > shard.committed && shard.fragile.contains(next.request.to))
    return hand_over_later(std::move(next));
  Slot* slot = wake(next.request.to, shard, kind);
  const bool awake = slot != nullptr && slot->entity;
  if (awake && slot->batch == filling.number && slot->in_batch >= options.entity_credit)
    return hand_over_later(std::move(next));

  const bool at_once = awake && !options.sabotage.late_rows;
  if (next.fresh && !at_once) keep(next);
  Job job;
  job.letter = next.id;
  job.request = std::move(next.request);
  if (!at_once) {
    job.respond = [this, shard = shard.id, generation, id = next.id](const Answer& answer) {
      delivered(shard, generation, id, answer);
    };
    return handle(std::move(job), shard.id, kind.kind);
  }
  Answer answer = MessagePtr();
  job.respond = [&answer](Answer given) { answer = std::move(given); };
  kind.probe->enqueued.add();
  run(*slot, job);
  if (next.fresh && answer) return;
  if (next.fresh && shard.generation == generation) {
    next.request = std::move(job.request);
    keep(next);
  }
  delivered(shard.id, generation, next.id, answer);
}

/// When the batch of its sender is committed, or, if it is already, the one that fills, which must not be
/// empty.
void Host::State::hand_over_later(Handover next) {
  if (next.fresh) keep(next);
  const bool is_under_way = under_way && next.shard->outbox.at(next.id).batch == under_way->number;
  auto& batch = is_under_way ? *under_way : filling;
  batch.urgent = true;
  batch.handovers.push_back(std::move(next));
}

/// It cannot be handled right now, and therefore counts as sent, like any other.
void Host::State::keep(Handover& next) {
  Shard& shard = *next.shard;
  v1::Outgoing message;
  message.set_to(next.request.to);
  set_typed(*message.mutable_command(), *next.request.command);
  auto& posted = keep(shard, next.id, next.request.actor, std::move(message), Result<Request>(next.request));
  posted.sent = 1;
  ++shard.entities.in_flight;
  next.fresh = false;
  if (options.sabotage.lost_rows) filling.posted.pop_back();
}

/// A receiver's apply has thrown, which takes along all that is not committed; most often its sender, too,
/// who would send it again and again.
void Host::State::note_broken(const Job& job, Shard& shard, const Error& why) {
  if (job.letter.sequence == 0) return;
  if (shard.fragile.size() >= kMostFragile) shard.fragile.clear();
  shard.fragile.insert(job.request.to);
  if (job.letter.sequence > shard.committed) return;
  auto& broke = shard.broke[job.letter];
  ++broke.times;
  broke.why = why;
}

}  // namespace cx
