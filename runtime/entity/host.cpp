#include "runtime/entity/host.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "runtime/address.hpp"
#include "runtime/entity/host_state.hpp"
#include "runtime/entity/stored.hpp"

namespace cx {
namespace {

constexpr unsigned kLoadsUnderWay = 2;
constexpr std::size_t kLoadBatch = 512;
constexpr std::int64_t kUseStep = 250;  // milliseconds; finer than that, it does not matter who was used last
constexpr std::size_t kSlack = 1024;    // entities over the limit while others are on their way to disk
constexpr std::ptrdiff_t kUnsettled = 1024;  // messages of one source that an entity remembers at most

Error overloaded(std::string_view what) {
  return {Code::overloaded, "overloaded",
          fmt::format("{} has as many commands under way as it takes; nothing was done, retry in a second.",
                      what),
          ""};
}

/// "customer/acme/c-1": acme and c-1.
std::pair<std::string_view, std::string_view> tenant_and_key(std::string_view address) {
  address.remove_prefix(address.find('/') + 1);
  const auto slash = address.find('/');
  return {address.substr(0, slash), address.substr(slash + 1)};
}

/// Messages that the entity still has to remember once those below `settled` are settled.
std::ptrdiff_t unsettled(const v1::SeenSource& seen, std::uint64_t settled) {
  if (seen.handled_size() < kUnsettled) return seen.handled_size();  // the usual case
  return std::count_if(seen.handled().begin(), seen.handled().end(),
                       [&](const auto& one) { return one.sequence() >= settled; });
}

bool is_local(const Job& job) {
  return job.letter.sequence != 0;
}

bool is_letter(const Job& job) {
  return is_local(job) || is_outbox(job.request.source);
}

}  // namespace

Host::Host(const HostOptions& options, std::span<const std::uint32_t> shards, const Kinds& kinds,
           Journal& journal, Environment& environment, std::function<KindProbe&(const std::string&)> probe,
           HostPort& port)
    : state_(std::make_unique<State>(options, kinds, journal, environment, port)) {
  for (const auto& kind : kinds.all()) state_->hosted[kind.get()] = {kind.get(), &probe(kind->name())};
  for (const auto id : shards) {
    auto& shard = state_->shards[id];
    shard.id = id;
    shard.source = fmt::format("shard/{}", id);
    if (options.clustered) shard.phase = Shard::Phase::elsewhere;
    state_->shard_by_id[id] = &shard;
  }
}

Host::~Host() {
  for (const auto& [address, slot] : state_->slots) slot.kind->probe->live.add(-1);
}

void Host::open(std::function<void(std::optional<Error>)> done) {
  std::vector<Shard*> all;
  for (auto& [id, shard] : state_->shards) all.push_back(&shard);
  state_->open(std::move(all), std::move(done));
}

void Host::handle(Request request, Respond respond) {
  const auto shard = request.shard;
  const auto* kind = request.kind;
  Job job;
  job.request = std::move(request);
  job.respond = std::move(respond);
  state_->handle(std::move(job), shard, kind);
  state_->settle();
}

void Host::inspect(Request target, std::function<void(Result<v1::Snapshot>)> respond) {
  Job job;
  const auto shard = target.shard;
  const auto* kind = target.kind;
  job.respond = [respond](const Answer& answer) {
    if (!answer) respond(answer.error());
  };
  job.inspect = std::move(respond);
  job.request = std::move(target);
  state_->handle(std::move(job), shard, kind);
  state_->settle();
}

void Host::resolve(std::uint32_t shard, std::string letter, bool replay,
                   std::function<void(std::optional<Error>)> respond) {
  state_->resolve(shard, std::move(letter), replay, std::move(respond));
  state_->settle();
}

std::vector<ShardStatus> Host::status() const {
  static constexpr const char* kPhases[] = {"elsewhere", "opening", "open", "moving", "recovering", "lost"};
  std::vector<ShardStatus> all;
  for (const auto& [id, shard] : state_->shards)
    all.push_back({id, kPhases[static_cast<int>(shard.phase)], shard.epoch, shard.first, shard.last,
                   shard.checkpoint, shard.resident, shard.dirty.size() + shard.tail.size(),
                   shard.last - shard.committed, shard.outbox.size(), shard.error});
  return all;
}

void Host::tick() {
  const auto now = state_->now();
  state_->filling.handed_over = false;
  state_->fire_due(now);
  state_->repeat_letters(now);
  state_->sweep(now);
  state_->open_some();
  state_->settle();
}

void Host::take(std::span<const ShardEpoch> shards) {
  state_->take(shards);
  state_->settle();
}

void Host::release(std::span<const std::uint32_t> shards,
                   const std::function<void(std::uint32_t)>& released) {
  state_->release(shards, released);
  state_->settle();
}

void Host::drop(std::span<const std::uint32_t> shards) {
  state_->drop(shards);
  state_->settle();
}

void Host::connected(std::string_view endpoint) {
  state_->connected(endpoint);
  state_->settle();
}

void Host::flush() {
  state_->filling.timed = false;
  state_->filling.urgent = true;
  state_->settle();
}

void Host::stop(std::function<void()> done) {
  state_->stopped = std::move(done);
  state_->sweep(state_->now());
  state_->settle();
}

void Host::State::handle(Job job, std::uint32_t id, const EntityKind* kind) {
  Shard* to = shard(id);
  const auto hosting = hosted.find(kind);
  if (to == nullptr || hosting == hosted.end())
    return job.respond(Error{Code::unavailable, "unavailable",
                             fmt::format("Shard {} is not of this node; ask again.", id), ""});
  if (stopped)
    return job.respond(
        Error{Code::unavailable, "stopping", "This node is shutting down; ask another one.", ""});
  if (to->phase != Shard::Phase::open) return turn_away(job, *to);
  hosting->second.probe->enqueued.add();
  Slot* slot = wake(job.request.to, *to, hosting->second);
  if (slot == nullptr) {
    hosting->second.probe->handled.total.add();
    return job.respond(overloaded("The memory for entities"));
  }
  if (slot->entity) return run(*slot, job);
  if (slot->waiting.size() >= options.entity_credit) {
    hosting->second.probe->handled.total.add();
    return job.respond(overloaded(*slot->address));
  }
  slot->waiting.push_back(std::move(job));
}

/// The entity's slot, with a load under way if it was not in memory; null when there is no room.
Slot* Host::State::wake(const std::string& address, Shard& shard, const HostedKind& kind) {
  if (const auto found = slots.find(address); found != slots.end()) {
    auto& slot = found->second;
    const auto at = now();
    if (at - slot.used >= kUseStep || at < slot.used) {
      slot.used = at;
      by_use.splice(by_use.end(), by_use, slot.order);
    }
    return &slot;
  }
  if (full()) passivate(now(), 2);
  if (slots.size() >= options.max_resident + options.max_resident / 8 + kSlack) return nullptr;
  const auto at = slots.try_emplace(address).first;
  Slot& slot = at->second;
  slot.used = now();
  slot.address = &at->first;
  slot.shard = &shard;
  slot.kind = &kind;
  slot.order = by_use.insert(by_use.end(), &slot);
  slot.after = shard.slots;
  if (slot.after != nullptr) slot.after->before = &slot;
  shard.slots = &slot;
  slot.load = ++last_load;
  ++shard.resident;
  kind.probe->live.add();
  LoadJob job{address, shard.id, kind.kind, slot.load, {}};
  if (const auto tail = shard.tail.find(address); tail != shard.tail.end()) job.tail = tail->second;
  to_load.push_back(std::move(job));
  return &slot;
}

void Host::State::load_some() {
  while (!to_load.empty() && loads_under_way < kLoadsUnderWay) {
    const auto n = std::min(to_load.size(), kLoadBatch);
    auto jobs = std::make_shared<std::vector<LoadJob>>(
        std::make_move_iterator(to_load.begin()),
        std::make_move_iterator(to_load.begin() + static_cast<std::ptrdiff_t>(n)));
    to_load.erase(to_load.begin(), to_load.begin() + static_cast<std::ptrdiff_t>(n));
    ++loads_under_way;
    port.offload([this, jobs]() -> HostPort::Then {
      auto all = std::make_shared<std::vector<Loaded>>(load_entities(journal, *jobs));
      return [this, all] {
        --loads_under_way;
        loaded(std::move(*all));
        settle();
      };
    });
  }
}

void Host::State::loaded(std::vector<Loaded> all) {
  for (auto& one : all) {
    const auto found = slots.find(one.address);
    if (found == slots.end() || found->second.load != one.load) continue;  // its shard has failed meanwhile
    Slot& slot = found->second;
    auto waiting = std::move(slot.waiting);
    slot.waiting = {};
    if (one.error) {
      if (one.error->code == Code::unavailable)  // the disk's trouble, not the entity's
        one.error = Error{Code::unavailable, "unavailable",
                          one.error->detail + " Nothing was done; retry in a second.", ""};
      slot.kind->probe->failures.add();
      for (auto& job : waiting) {
        slot.kind->probe->handled.total.add();
        job.respond(*one.error);
      }
      drop(slot);
      continue;
    }
    slot.entity = std::move(one.entity);
    slot.extras = std::move(one.extras);
    slot.sequence = one.sequence;
    slot.bytes = static_cast<std::uint32_t>(sizeof(Slot) + slot.address->capacity() + slot.entity->bytes());
    bytes += slot.bytes;
    slot.shard->tail.erase(*slot.address);
    if (one.first_dirty != 0) {
      slot.first_dirty = one.first_dirty;
      slot.shard->dirty.emplace(one.first_dirty, &slot);
    }
    for (auto& job : waiting) {
      // One that breaks the shard takes the slot with it.
      if (const auto still = slots.find(one.address);
          still != slots.end() && still->second.load == one.load) {
        run(still->second, job);
      } else {
        hosted.at(job.request.kind).probe->handled.total.add();
        turn_away(job, *shard(job.request.shard));
      }
    }
  }
}

void Host::State::run(Slot& slot, Job& job) {
  slot.kind->probe->handled.total.add();
  if (job.inspect) {
    auto seen = std::make_shared<v1::Snapshot>(snapshot_of(slot));
    return answer_when(
        slot.batch, *slot.shard,
        [seen, inspect = job.inspect](const Answer& committed) {
          if (committed)
            inspect(*seen);
          else
            inspect(committed.error());
        },
        MessagePtr());
  }
  const auto& request = job.request;
  if (!job.reminder.empty() && (!slot.extras || slot.extras->due(job.reminder) != job.due)) {
    write(*slot.shard, Table::reminders, reminder_key(job.due, *slot.address, job.reminder), std::nullopt);
    return job.respond(MessagePtr());  // it has fired, or was set anew
  }
  if (!job.reminder.empty() && job.attempts >= options.delivery_attempts)
    return bury_reminder(slot, job, job.failure);  // each time the whole shard had to be read again
  if (!request.source.empty() && !options.sabotage.no_dedupe && slot.extras) {
    if (const auto* reply = slot.extras->reply_to(request.source, request.sequence))
      return answer_when(slot.batch, *slot.shard, std::move(job.respond), read_typed(*reply));
    if (request.once && slot.extras->knows(request.source))
      return job.respond(
          Error{Code::conflict, "idempotency-key-reused",
                fmt::format("{} has had another request with this idempotency key; use a new key "
                            "for a new request.",
                            *slot.address),
                ""});
    for (const auto& seen : slot.extras->seen)
      if (seen.source() == request.source && unsettled(seen, request.settled) >= kUnsettled)
        return job.respond(overloaded(fmt::format("{}, which remembers {} unsettled messages of {},",
                                                  *slot.address, kUnsettled, request.source)));
  }
  if (request.deadline != 0 && now() > request.deadline)
    return job.respond(Error{
        Code::deadline_exceeded, "deadline-exceeded",
        fmt::format("The command reached {} after its deadline; nothing was done.", *slot.address), ""});
  if (slot.batch == filling.number && slot.in_batch >= options.entity_credit)
    return job.respond(overloaded(*slot.address));
  if (slot.shard->outbox.size() + slot.shard->fresh >= options.outbox_credit && !request.type->query &&
      !is_letter(job))
    return job.respond(overloaded(fmt::format("The outbox of shard {}", slot.shard->id)));
  if (!job.reminder.empty() && options.reminder_lateness != nullptr)
    options.reminder_lateness->record(static_cast<std::uint64_t>(std::max<std::int64_t>(0, now() - job.due)) *
                                      1'000'000);
  try {
    decide(slot, job);
  } catch (const std::exception& e) {  // its apply has thrown: only the log knows the state now
    slot.kind->probe->failures.add();
    Error error{
        Code::internal, "handler-failed",
        fmt::format("{} failed at {}: {}", request.type->prototype->GetTypeName(), *slot.address, e.what()),
        ""};
    auto& shard = *slot.shard;
    note_broken(job, shard, error);
    job.respond(error);
    fail(shard, error);
  }
}

void Host::State::decide(Slot& slot, Job& job) {
  const auto& request = job.request;
  const auto at = now();
  const auto [tenant, key] = tenant_and_key(*slot.address);
  const Context context{at,
                        *slot.address,
                        tenant,
                        key,
                        request.actor,
                        request.trace,
                        request.deadline,
                        random.next(),
                        request.roles,
                        nullptr};
  auto decided = slot.entity->decide(*request.type, *request.command, context);
  if (!decided) {
    if (decided.error().code == Code::internal) slot.kind->probe->failures.add();
    if (!job.reminder.empty() && is_final(decided.error(), job.attempts + 1))
      return bury_reminder(slot, job, decided.error());
    return answer(slot, job, slot.batch, decided.error());
  }
  auto& effects = decided->effects;
  if (!request.type->query)
    effects.outbox.insert(effects.outbox.end(), request.along.begin(), request.along.end());
  const bool sends_nothing = effects.outbox.empty() && effects.buried.empty();
  const bool leads_to_nothing = decided->events.empty() && effects.reminders.empty() &&
                                effects.cancelled.empty() && sends_nothing && job.reminder.empty();
  if (leads_to_nothing) return answer(slot, job, slot.batch, std::move(decided->reply));
  // A message of an outbox is gone from there once it is answered.
  const bool relaxed = request.type->relaxed && !options.strict && sends_nothing && !is_letter(job);
  record(slot, job, *decided, context, relaxed);
  if (options.sabotage.reply_early) return job.respond(std::move(decided->reply));
  answer(slot, job, relaxed ? slot.strict_batch : slot.batch, std::move(decided->reply));
}

/// Numbers the decision and puts it into the batch that fills.
void Host::State::record(Slot& slot, const Job& job, Decision& decision, const Context& context,
                         bool relaxed) {
  Shard& shard = *slot.shard;
  Append& append = append_to(shard);
  const auto& request = job.request;
  const auto sequence = ++shard.last;
  auto& record = scratch;
  record.Clear();
  record.set_shard(shard.id);
  record.set_sequence(sequence);
  record.set_epoch(shard.epoch);
  record.set_entity(*slot.address);
  set_typed(*record.mutable_command(), *request.command);
  record.set_now(context.now);
  record.set_seed(context.seed);
  if (!request.actor.empty()) record.set_actor(request.actor);
  for (const auto& role : request.roles) record.add_roles(role);
  if (!request.trace.empty()) record.set_trace(request.trace);
  record.set_deadline(request.deadline);
  record.set_schema(slot.kind->kind->schema());
  for (auto& event : decision.events) record.add_events(std::move(event));
  if (decision.facts) set_typed(*record.mutable_facts(), *decision.facts);
  if (is_local(job)) record.set_letter(job.letter.number());
  if (!request.source.empty()) {
    auto& id = *record.mutable_id();
    id.set_source(request.source);
    id.set_sequence(request.sequence);
    id.set_settled(request.settled);
    if (!is_outbox(request.source) && decision.reply) set_typed(*record.mutable_reply(), *decision.reply);
  }

  if (!job.reminder.empty()) record.add_cleared(job.reminder);
  for (auto& name : decision.effects.cancelled) record.add_cleared(std::move(name));
  for (const auto& timer : decision.effects.reminders) {
    auto& reminder = *record.add_reminders();
    reminder.set_name(timer.name);
    reminder.set_due(std::max<std::int64_t>(timer.due, 1));  // 0 is none
    set_typed(*reminder.mutable_command(), *timer.command);
  }
  std::uint32_t index = 0;
  for (const auto& letter : decision.effects.outbox) {
    auto& message = *record.add_outbox();
    message.set_to(letter.to);
    set_typed(*message.mutable_command(), *letter.command);
    post(shard, {sequence, index++}, *slot.address, letter, message);
  }
  for (const auto& [letter, why] : decision.effects.buried) {
    auto& buried = *record.add_buried();
    buried.mutable_message()->set_to(letter.to);
    set_typed(*buried.mutable_message()->mutable_command(), *letter.command);
    buried.set_reason(why.type);
    buried.set_detail(why.detail);
    v1::DeadLetter dead;
    dead.set_from(*slot.address);
    *dead.mutable_message() = buried.message();
    dead.set_first_at(context.now);
    write_dead(shard, {sequence, index++}, std::move(dead), why);
  }
  if (record.cleared_size() > 0 || record.reminders_size() > 0) index_reminders(slot, record);
  if (record.cleared_size() > 0 || record.reminders_size() > 0 || record.has_id()) {
    if (!slot.extras) slot.extras = std::make_unique<Extras>();
    slot.extras->apply(record);
  }

  changed(slot, sequence, context.now, relaxed);
  append.records.push_back(record.SerializeAsString());
  append.followed |= slot.kind->kind->followed();
  filling.bytes += append.records.back().size();
}

/// The entity's last record is now `sequence`, in the batch that fills.
void Host::State::changed(Slot& slot, std::uint64_t sequence, std::int64_t at, bool relaxed) {
  slot.sequence = sequence;
  if (slot.batch != filling.number) {
    slot.batch = filling.number;
    slot.in_batch = 0;
  }
  ++slot.in_batch;
  if (!relaxed) slot.strict_batch = slot.batch;
  if (slot.first_dirty != 0) return;
  slot.first_dirty = sequence;
  slot.dirty_since = at;
  slot.shard->dirty.emplace(sequence, &slot);
}

/// Answers when `batch` is committed; at once where whoever asks is committed with it.
void Host::State::answer(const Slot& slot, Job& job, std::uint64_t batch, Answer answer) {
  if (is_local(job) && !options.sabotage.late_rows) return job.respond(std::move(answer));
  answer_when(batch, *slot.shard, std::move(job.respond), std::move(answer));
}

/// Answers once `batch` is committed, and what is in memory therefore true.
void Host::State::answer_when(std::uint64_t batch, Shard& shard, Respond respond, Answer answer) {
  if (batch <= committed_batch) return respond(std::move(answer));
  auto& in = batch == filling.number ? filling : *under_way;
  in.held.push_back({&shard, std::move(respond), std::move(answer)});
  in.urgent = true;
}

v1::Snapshot Host::State::snapshot_of(const Slot& slot) const {
  v1::Snapshot snapshot;
  snapshot.set_entity(*slot.address);
  snapshot.set_sequence(slot.sequence);
  snapshot.set_schema(slot.kind->kind->schema());
  snapshot.set_state(slot.entity->save());
  snapshot.set_at(now());
  if (slot.extras) slot.extras->save(snapshot);
  return snapshot;
}

}  // namespace cx
