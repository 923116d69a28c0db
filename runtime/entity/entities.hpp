#pragma once

#include <array>
#include <atomic>
#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cx/v1/journal.pb.h"
#include "runtime/address.hpp"
#include "runtime/entity/host.hpp"
#include "runtime/entity/router.hpp"
#include "runtime/entity/shard_host.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/environment/executor.hpp"
#include "runtime/journal/committer.hpp"
#include "runtime/journal/journal.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx {

class Credits;

/// Every entity of this node: routes commands to the region that hosts their shard. Regions are CAF actors,
/// each the host of a fixed part of the shards. Standing alone, the node has all
/// shards from start() on; in a cluster (HostOptions::clustered) they come and go, see ShardHost, and what is
/// meant for those that are not here goes to another actor. Thread-safe after start().
class Entities final : public Router, public ShardHost {
 public:
  struct Parts {
    caf::actor_system& system;
    Environment& environment;
    const Kinds& kinds;
    Journal& journal;
    Executor& commits;  ///< group commit: as many threads as `groups`
    Executor& reads;    ///< loads of snapshots and tails, and what operators ask
    Metrics& metrics;   ///< outlives `system`, whose clock may be the last to hold a region that has ended
    std::string node;   ///< its name
    /// Group commits that are under way at once, each of other regions' shards. More than one is for a
    /// journal that works on them side by side; on one disk a single one shares every sync among all shards.
    unsigned groups = 1;
  };
  /// `sync_always`: see Committer. `regions`: actors that share the shards.
  Entities(Parts parts, const HostOptions& options, bool sync_always, unsigned regions);
  ~Entities() override;

  /// In a cluster, before start(): who gets commands for shards that are not here. Takes (Request), answered
  /// as a region does, and (Asked), see runtime/entity/region.hpp; may hand them to ask() again.
  void set_elsewhere(caf::actor elsewhere) { elsewhere_ = std::move(elsewhere); }
  /// Takes every shard, and returns when all are open, or with what stands in the way; none in a cluster.
  std::optional<Error> start();
  /// Snapshots what is dirty, commits it and ends the regions; nothing is answered afterwards.
  void stop();

  Result<Request> request(std::string_view address, MessagePtr command) const override;
  /// Of a shard that is not here: the actor of set_elsewhere().
  const caf::actor& region(std::uint32_t shard) const override {
    return here(shard) ? region_of(shard) : elsewhere_;
  }
  /// Whether commands for the shard are welcome right now; it may be otherwise when they arrive.
  bool here(std::uint32_t shard) const { return here_[shard].load(std::memory_order_relaxed); }

  /// As a foreign thread asks. `respond` is called once, on an actor's thread, and must not block. Never
  /// blocks.
  void ask(Request request, Respond respond) const;

  // In a cluster.
  void take(std::vector<ShardEpoch> shards) override;
  void release(std::span<const std::uint32_t> shards, std::function<void(std::uint32_t)> released) override;
  void drop(std::span<const std::uint32_t> shards) override;
  void on_lost(std::function<void(ShardEpoch)> lost) override { lost_ = std::move(lost); }

  /// From now on `taker` gets the letters to an endpoint (runtime/entity/messages.hpp) and answers each with
  /// caf::unit_t when it is done with it, or with an error of to_caf(): "overloaded", "unavailable" and
  /// "deadline-exceeded" are tried again, ever more rarely; any other makes it a dead letter, "internal"
  /// after a few attempts. A letter comes at least once, with the same id; who ends without an answer gets it
  /// again. One that is never answered waits until the node is restarted. Before anybody is connected,
  /// letters wait. At any time.
  void connect(const std::string& endpoint, caf::actor taker);

  /// Group commits so far, and appends in them.
  std::uint64_t commits() const;
  std::uint64_t appends() const;
  /// How late reminders were handled since the start, nanoseconds.
  Histogram reminder_lateness() const { return reminder_lateness_.read(); }
  /// See Committer::on_followed; before start(). Called by several threads at once, see Parts::groups.
  void on_followed(const std::function<void(std::uint32_t shard)>& followed);

  // What operators ask. Each answers on some thread, once.

  /// An entity as it is now, committed; of one that was never seen, what it would wake up as, with sequence
  /// 0.
  void inspect(const std::string& address, std::function<void(Result<v1::Snapshot>)> respond) const;
  /// Every shard of this node, ascending.
  void shards(std::function<void(std::vector<ShardStatus>)> respond) const;
  /// Puts a dead letter back into the outbox of its shard, under a new id, since its receiver never handled
  /// it; or forgets it. not_found where there is none.
  enum class DeadLetterVerb { replay, discard };
  void resolve(const std::string& dead_letter, DeadLetterVerb verb,
               std::function<void(std::optional<Error>)> respond) const;

  const Kinds& kinds() const { return parts_.kinds; }
  const Journal& journal() const { return parts_.journal; }
  Executor& reads() const { return parts_.reads; }

 private:
  const caf::actor& region_of(std::uint32_t shard) const { return regions_[shard % regions_.size()]; }

  Parts parts_;
  const bool clustered_;
  std::shared_ptr<Credits> credits_;
  SharedHistogram reminder_lateness_;
  std::deque<Committer> committers_;  ///< each of its own regions'
  std::vector<caf::actor> regions_;
  std::array<std::atomic<bool>, kShards> here_{};
  caf::actor elsewhere_;
  std::function<void(ShardEpoch)> lost_;
  std::mutex endpoints_mutex_;
  std::map<std::string, caf::actor> endpoints_;  ///< who takes their letters
  bool stopped_ = false;
};

}  // namespace cx
