#pragma once

// The inside of a Host, for runtime/entity/host*.cpp only.

#include <array>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "runtime/address.hpp"
#include "runtime/entity/extras.hpp"
#include "runtime/entity/host.hpp"

namespace cx {

struct HostedKind {
  const EntityKind* kind;
  KindProbe* probe;
};

/// Record and position of a message in the outbox of its shard.
struct LetterId {
  std::uint64_t sequence = 0;  ///< 0 for no message
  std::uint32_t index = 0;
  auto operator<=>(const LetterId&) const = default;
  std::uint64_t number() const { return sequence * kLettersPerRecord + index; }
  static constexpr std::uint32_t kLettersPerRecord = 1024;  // more than a decision may send
};

struct Shard;

/// A command on its way into an entity.
struct Job {
  Request request;
  Respond respond;
  LetterId letter;       ///< that brings it, when that is of the same shard
  std::string reminder;  ///< its name, when the command is one that is due
  std::int64_t due = 0;
  std::uint32_t attempts = 0;                         ///< of the reminder, before this one
  Error failure;                                      ///< of the last of them
  std::function<void(Result<v1::Snapshot>)> inspect;  ///< instead of a command
};

/// An entity in memory, or on its way there.
struct Slot {
  const std::string* address = nullptr;
  Shard* shard = nullptr;
  const HostedKind* kind = nullptr;
  std::unique_ptr<Entity> entity;  ///< null while it is loaded
  std::unique_ptr<Extras> extras;  ///< null when it has none
  std::vector<Job> waiting;        ///< for it to be loaded
  std::uint64_t sequence = 0;      ///< of its last record
  std::uint64_t first_dirty = 0;   ///< its first record since its snapshot; 0 when there is none
  std::uint64_t batch = 0;         ///< that its last record is in
  std::uint64_t strict_batch = 0;  ///< that its last record that is not relaxed is in
  std::uint64_t saved_batch = 0;   ///< that its snapshot is in
  std::uint32_t in_batch = 0;      ///< its records in that batch
  std::uint32_t bytes = 0;
  std::uint64_t load = 0;  ///< names the load under way
  std::int64_t used = 0;
  std::int64_t dirty_since = 0;
  bool leaving = false;              ///< is in State::leaving
  std::list<Slot*>::iterator order;  ///< in State::by_use
  Slot* before = nullptr;            ///< in the shard's list
  Slot* after = nullptr;
};

/// A message that has not been delivered.
struct Posted {
  enum class To { here, other_shard, endpoint };
  v1::OutboxEntry entry;
  To to = To::here;            ///< where it goes; here, too, if nobody is there
  std::uint64_t batch = 0;     ///< that its row is in
  std::uint32_t sent = 0;      ///< how often
  std::uint32_t attempts = 0;  ///< how often its receiver failed
  std::int64_t retry_at = 0;   ///< 0 while it waits for its turn, or for an answer that is sure to come
  bool pausing = false;        ///< its receiver has failed; it waits to be sent again
  bool buried = false;         ///< is on its way to the dead letters
};

/// A message to an entity of its own shard, about to be handed over.
struct Handover {
  Shard* shard;
  std::uint64_t generation;
  LetterId id;
  Request request;
  bool fresh;  ///< just sent, and written down only if it is not handled before its batch is committed
};

struct Shard {
  enum class Phase { elsewhere, opening, open, moving, recovering, lost };
  std::uint32_t id = 0;
  std::string source;  ///< of messages: "shard/17"
  Phase phase = Phase::opening;
  std::uint64_t generation = 0;  ///< of its memory; what was under way for an older one no longer matters
  std::string error;
  std::optional<std::uint64_t> wanted;  ///< in a cluster: the epoch that it is to be here in
  std::vector<std::function<void(std::uint32_t)>> released;  ///< who waits for it to be gone, while moving
  std::int64_t reopen_at = 0;
  std::uint64_t after_batch = 0;  ///< that must be over before it is opened: it has some of its records
  std::uint64_t epoch = 0, first = 1, last = 0, committed = 0, checkpoint = 0;
  std::uint64_t resident = 0;
  Slot* slots = nullptr;                      ///< the first of its entities
  std::ptrdiff_t append = -1;                 ///< in the batch that fills
  std::multimap<std::uint64_t, Slot*> dirty;  ///< by first_dirty
  /// Records after the checkpoint of entities that have not been loaded since the shard was opened.
  std::unordered_map<std::string, std::vector<std::uint64_t>> tail;

  std::map<LetterId, Posted> outbox;
  std::set<LetterId> to_others;  ///< those of it that go to other shards: who has to tell repeats apart
  struct Window {
    std::set<LetterId> unsent;
    std::size_t in_flight = 0;  ///< with their receivers
  };
  Window entities, endpoints;
  std::size_t fresh = 0;  ///< messages within it that are to be handed over, and not in its outbox yet
  Window& window(Posted::To to) { return to == Posted::To::endpoint ? endpoints : entities; }
  /// What broke this shard when it was delivered within it; outlives a generation. The receivers get messages
  /// only when these are committed, so that they cost nobody else an answer, and that the ids here mean
  /// something.
  struct Broke {
    std::uint32_t times = 0;
    Error why;
  };
  std::map<LetterId, Broke> broke;
  std::set<std::string> fragile;

  std::int64_t next_due = kNever;  ///< of its reminders; known to State::due, too
  bool firing = false;             ///< a round of reminders is under way
  std::size_t to_fire = 0;         ///< of that round
  struct Failed {
    std::uint32_t attempts = 0;
    std::int64_t retry_at = 0;
    Error why;
  };
  std::map<std::string, Failed> failed;  ///< reminders that could not fire, by key; outlives a generation
  std::set<std::string> resolving;       ///< dead letters that somebody is about to resolve, by key
  static constexpr std::int64_t kNever = INT64_MAX;
};

/// What is committed together.
struct Batch {
  struct Held {
    Shard* shard;
    Respond respond;
    Answer answer;
  };
  std::uint64_t number = 1;
  std::vector<Append> appends;
  std::vector<Shard*> shards;  ///< of `appends`; null for one that is not to be written any more
  std::size_t bytes = 0;
  std::vector<Held> held;
  std::vector<Shard*> senders;      ///< that have messages in here
  std::vector<Handover> handovers;  ///< for when it is committed
  struct Row {
    Shard* shard;
    std::uint64_t generation;
    LetterId letter;
  };
  std::vector<Row> posted;   ///< to be written into the outbox, if they are there in the end
  bool handed_over = false;  ///< as many messages within shards as it takes
  bool urgent = false;       ///< somebody waits for it
  bool timed = false;        ///< flush_later was asked for
};

/// An entity as read from the journal.
struct Loaded {
  Slot* slot = nullptr;
  std::string address;
  std::uint64_t load = 0;
  std::unique_ptr<Entity> entity;
  std::unique_ptr<Extras> extras;
  std::uint64_t sequence = 0;
  std::uint64_t first_dirty = 0;
  std::optional<Error> error;
};

struct LoadJob {
  std::string address;
  std::uint32_t shard;
  const EntityKind* kind;
  std::uint64_t load;
  std::vector<std::uint64_t> tail;
};

/// What opening a shard found.
struct Opened {
  std::optional<Error> error;
  Head head;
  std::uint64_t checkpoint = 0;
  std::unordered_map<std::string, std::vector<std::uint64_t>> tail;
  std::vector<std::pair<LetterId, v1::OutboxEntry>> outbox;
  std::int64_t next_due = Shard::kNever;
};

struct ToOpen {
  std::uint32_t shard;
  std::optional<std::uint64_t> epoch;  ///< none: the one after its last
};

/// Who had asked for something of a shard whose memory is gone.
struct Orphans {
  std::vector<Batch::Held> held;  ///< decided, and not known to be committed
  std::vector<Job> waiting;       ///< nothing was done
};

/// Blocking: reads of the journal, for HostPort::offload.
std::vector<Opened> open_shards(Journal& journal, std::span<const ToOpen> shards);
std::vector<Loaded> load_entities(const Journal& journal, std::span<const LoadJob> jobs);

struct Host::State {
  static constexpr std::int64_t kReopenEvery = 1'000;  ///< milliseconds, of a shard that cannot be opened
  static constexpr std::int64_t kRecoverAfter = 250;   ///< milliseconds, after a failure

  State(const HostOptions& o, const Kinds& k, Journal& j, Environment& e, HostPort& p)
      : options(o), kinds(k), journal(j), environment(e), port(p), random(e.random()) {}

  // host.cpp: commands
  void handle(Job job, std::uint32_t shard, const EntityKind* kind);
  Slot* wake(const std::string& address, Shard& shard, const HostedKind& kind);
  void run(Slot& slot, Job& job);
  void decide(Slot& slot, Job& job);
  void record(Slot& slot, const Job& job, Decision& decision, const Context& context, bool relaxed);
  void changed(Slot& slot, std::uint64_t sequence, std::int64_t at, bool relaxed);
  void answer(const Slot& slot, Job& job, std::uint64_t batch, Answer answer);
  void answer_when(std::uint64_t batch, Shard& shard, Respond respond, Answer answer);
  v1::Snapshot snapshot_of(const Slot& slot) const;
  void load_some();
  void loaded(std::vector<Loaded> all);

  // host_commit.cpp: batches, failure, recovery
  Append& append_to(Shard& shard);
  v1::JournalRecord next_record(Shard& shard, const std::string& entity);
  void write(Shard& shard, Table table, std::string key, std::optional<std::string> value);
  void settle();  // at the end of every entry into the host: commits if nothing is under way
  void commit();
  void committed(Batch& batch, const std::vector<std::optional<Error>>& results);
  void fail(Shard& shard, const Error& error);
  [[nodiscard]] Orphans clear(Shard& shard);
  void answer_all(Orphans orphans, const Shard& shard, const Error& why);

  // host_placement.cpp: shards that come and go
  void open(std::vector<Shard*> which, std::function<void(std::optional<Error>)> done);
  void open_some();
  void opened(Shard& shard, Opened found);
  void turn_away(Job& job, const Shard& shard);
  void take(std::span<const ShardEpoch> which);
  void want(Shard& shard, std::uint64_t epoch);
  void release(std::span<const std::uint32_t> which, const std::function<void(std::uint32_t)>& released);
  void move(Shard& shard);
  void let_go(Shard& shard, const Error& why);
  void lose(Shard& shard, std::uint64_t epoch, const Error& why);
  void drop(std::span<const std::uint32_t> which);

  // host_outbox.cpp
  void post(Shard& shard, LetterId id, const std::string& from, const Effects::Letter& letter,
            const v1::Outgoing& message);
  Posted& put(Shard& shard, LetterId id, v1::OutboxEntry entry, const Result<Request>& to);
  Posted& keep(Shard& shard, LetterId id, const std::string& from, v1::Outgoing message,
               const Result<Request>& to);
  void write_posted();
  void erase_row(Shard& shard, LetterId id, const Posted& letter);
  void forget(Shard& shard, LetterId id);
  void send_letters(Shard& shard);
  void send_letters(Shard& shard, Shard::Window& window, std::size_t most);
  void send_letter(Shard& shard, LetterId id, Posted& letter);
  void delivered(std::uint32_t shard, std::uint64_t generation, LetterId id, const Answer& answer);
  void bury(Shard& shard, LetterId id, std::uint32_t attempts, const Error& why);
  void write_dead(Shard& shard, LetterId id, v1::DeadLetter dead, const Error& why);
  bool is_final(const Error& error, std::uint32_t attempts) const;
  void repeat_letters(std::int64_t now);
  void connected(std::string_view endpoint);
  void resolve(std::uint32_t shard, std::string letter, bool replay,
               std::function<void(std::optional<Error>)> respond);

  // host_handover.cpp
  void hand_over();
  void hand_over(Handover next);
  void hand_over_later(Handover next);
  void keep(Handover& next);
  void note_broken(const Job& job, Shard& shard, const Error& why);

  // host_reminders.cpp
  void index_reminders(const Slot& slot, const v1::JournalRecord& record);
  void bury_unknown(Shard& shard, const std::string& key, const v1::ReminderEntry& entry, const Error& why);
  void bury_reminder(Slot& slot, Job& job, const Error& why);
  void note_due(Shard& shard, std::int64_t due);
  void fire_due(std::int64_t now);
  void read_due(Shard& shard);
  void fire(Shard& shard, std::vector<std::pair<std::string, v1::ReminderEntry>> rows, std::int64_t next_due);
  void fired(Shard& shard, const std::string& key, const Answer& answer);
  void round_over(Shard& shard);

  // host_sweep.cpp
  void sweep(std::int64_t now);
  void tidy(Shard& shard, std::int64_t now);
  void note_checkpoint(Shard& shard);
  bool full() const {
    return slots.size() - leaving.size() > options.max_resident || bytes - leaving_bytes > options.max_bytes;
  }
  void passivate(std::int64_t now, std::size_t most);
  void leave();
  void snapshot(Slot& slot);
  void drop(Slot& slot);

  Shard* shard(std::uint32_t id) { return id < kShards ? shard_by_id[id] : nullptr; }
  std::int64_t now() const { return environment.clock().unix_ms(); }

  const HostOptions options;
  const Kinds& kinds;
  Journal& journal;
  Environment& environment;
  HostPort& port;
  Random random;
  std::unordered_map<const EntityKind*, HostedKind> hosted;
  std::map<std::uint32_t, Shard> shards;
  std::array<Shard*, kShards> shard_by_id{};  ///< null for those of others
  std::set<std::uint32_t> to_open;            ///< shards that are wanted and not open, nor being opened
  bool opening = false;                       ///< some shards are being opened
  std::unordered_map<std::string, Slot> slots;
  std::list<Slot*> by_use;  ///< longest unused first
  struct Leaving {
    std::string address;
    std::uint64_t load;
    std::uint64_t batch;  ///< that its snapshot is in
    std::int64_t used;
    std::size_t bytes;
  };
  std::deque<Leaving> leaving;  ///< to be dropped once their snapshots are committed
  std::size_t leaving_bytes = 0;
  std::size_t bytes = 0;  ///< that entities in memory hold, roughly
  std::uint64_t last_load = 0;
  std::vector<LoadJob> to_load;
  unsigned loads_under_way = 0;
  Batch filling;
  std::optional<Batch> under_way;
  std::uint64_t committed_batch = 0;
  std::set<std::pair<std::int64_t, std::uint32_t>> due;                     ///< shards by next_due
  std::multimap<std::int64_t, std::pair<std::uint32_t, LetterId>> repeats;  ///< letters by retry_at
  std::deque<Handover> handovers;
  v1::JournalRecord scratch;
  std::int64_t swept_at = 0;
  std::function<void()> stopped;  ///< set when stopping
};

}  // namespace cx
