#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cx/v1/journal.pb.h"
#include "runtime/entity/request.hpp"
#include "runtime/entity/shard_host.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/journal/journal.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx {

/// Limits and habits of the runtime; see EntitiesConfig.
struct HostOptions {
  std::size_t max_resident = 1'000'000;   ///< entities in memory
  std::size_t max_bytes = 2'500'000'000;  ///< what they may hold, roughly
  std::int64_t idle_ms = 60'000;          ///< longest that an idle entity stays in memory
  std::int64_t snapshot_ms = 10'000;      ///< longest that a changed entity goes without a snapshot
  std::uint32_t entity_credit = 256;      ///< commands of one entity waiting to be loaded, or to be committed
  std::uint32_t shard_credit = 8'192;     ///< commands of one shard under way
  std::uint32_t outbox_credit =
      8'192;  ///< undelivered messages of a shard; past it, it takes messages of others only
  std::uint32_t delivery_attempts = 8;  ///< of a message whose receiver fails, before it is a dead letter
  bool strict = false;                  ///< no command is relaxed, whatever the contract says
  bool clustered = false;  ///< shards come by take() and go again; else open() takes all of them, for good
  /// Gets how late each reminder was handled, nanoseconds; may be null, outlives the host.
  SharedHistogram* reminder_lateness = nullptr;

  /// Mistakes, for tests that must find them.
  struct Sabotage {
    bool reply_early = false;  ///< answers before the commit
    bool no_dedupe = false;    ///< takes a repeated message for a new one
    bool late_rows = false;    ///< erases a message within a shard after, not with what came of it
    bool lost_rows = false;    ///< does not write down a message within a shard that is not handled at once
  } sabotage;
};

/// A shard as operators see it.
struct ShardStatus {
  std::uint32_t shard = 0;
  /// "opening", "open", "recovering"; in a cluster "moving" (it is being handed over) and "elsewhere", too;
  /// without one "lost".
  std::string state;
  std::uint64_t epoch = 0, first = 0, last = 0, checkpoint = 0;
  std::uint64_t resident = 0;  ///< entities in memory
  std::uint64_t dirty = 0;  ///< changed since their snapshot, those of them included that are not in memory
  std::uint64_t uncommitted = 0;  ///< records
  std::uint64_t outbox = 0;       ///< messages not yet delivered
  std::string error;              ///< why it is not open
};

/// What a host has done elsewhere. Everything that comes back comes on the host's thread.
class HostPort {
 public:
  virtual ~HostPort() = default;
  using Then = std::function<void()>;
  /// Runs `work` where it may block, then what it returns.
  virtual void offload(std::function<Then()> work) = 0;
  using Committed = std::function<void(std::vector<std::optional<Error>>)>;
  virtual void commit(std::vector<Append> appends, Committed then) = 0;
  /// Carries a command from a shard to an entity of whichever host. The answer may come late, twice or never.
  virtual void send(std::uint32_t from, Request request, Respond respond) = 0;
  /// Hands a message to the actor of an endpoint. The answer comes later, once: "unavailable" where there is
  /// no such actor, or no longer.
  virtual void deliver(const Endpoint& endpoint, Letter letter, Respond respond) = 0;
  /// Calls Host::flush in a few milliseconds.
  virtual void flush_later() = 0;

  // In a cluster.
  /// Passes on a command for a shard that is not here, or no longer. The answer comes once, or never.
  virtual void elsewhere(Request request, Respond respond) = 0;
  /// Whether the shard takes commands here has changed.
  virtual void here(std::uint32_t shard, bool is) = 0;
  /// See ShardHost::on_lost.
  virtual void lost(ShardEpoch newer) = 0;
};

/// What a command gets that was to be handled here only ("not-here"): nothing was done.
Error not_here(std::uint32_t shard);

/// Hosts the entities of some shards: wakes and passivates them, has them decide, numbers their records,
/// commits them in groups, answers when what was seen is committed, fires reminders and delivers the outbox.
/// Knows no threads and no CAF: one thread calls it, and tests do so under virtual time.
class Host {
 public:
  /// `probe`: what a kind is counted in. Everything referred to outlives the host.
  Host(const HostOptions& options, std::span<const std::uint32_t> shards, const Kinds& kinds,
       Journal& journal, Environment& environment, std::function<KindProbe&(const std::string& kind)> probe,
       HostPort& port);
  ~Host();

  /// Takes the shards; until then commands are refused. `done` gets the first error, if any; the host keeps
  /// trying.
  void open(std::function<void(std::optional<Error>)> done);
  // In a cluster, where shards are elsewhere at first; see ShardHost. Commands for those that are not open
  // go to HostPort::elsewhere.
  void take(std::span<const ShardEpoch> shards);
  void release(std::span<const std::uint32_t> shards, const std::function<void(std::uint32_t)>& released);
  void drop(std::span<const std::uint32_t> shards);

  /// Refuses commands, commits and snapshots what it has, then calls `done`.
  void stop(std::function<void()> done);

  /// Gives a command to its entity; `respond` is called once.
  void handle(Request request, Respond respond);
  /// The entity as it is when all that it did is committed. Of `target`, only address, shard and kind matter.
  void inspect(Request target, std::function<void(Result<v1::Snapshot>)> respond);
  /// Sends a dead letter again, or forgets it.
  void resolve(std::uint32_t shard, std::string letter, bool replay,
               std::function<void(std::optional<Error>)> respond);
  std::vector<ShardStatus> status() const;
  /// There is somebody at the endpoint: what waits for it need not wait longer.
  void connected(std::string_view endpoint);

  /// Fires what is due and does the housekeeping; to be called every kTick.
  void tick();
  static constexpr std::int64_t kTick = 40;  ///< milliseconds
  /// Commits what waits for company.
  void flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cx
