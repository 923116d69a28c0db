#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/environment/executor.hpp"
#include "runtime/journal/journal.hpp"
#include "runtime/projection/projection.hpp"

namespace cx {

class Metrics;
class Runner;

struct ProjectorOptions {
  std::size_t batch = 1'000;            ///< records in one transaction
  std::size_t batch_bytes = 4'000'000;  ///< of records; one may exceed it
  std::int64_t min_backoff_ms = 1'000;  ///< doubles with every failure of the same thing
  std::int64_t max_backoff_ms = 60'000;
  /// Whether the journal may hold records that a loss of power would forget: a projection has it synced
  /// before it commits what it made of them. Unnecessary where every append is synced.
  bool sync_journal = false;
  /// How long a turn waits for more records before it starts, on the executor's thread: what comes together
  /// costs less.
  std::chrono::milliseconds gather{0};
  /// How often at most poll() syncs a sink, which the disk's other users wait for. The log is kept until
  /// then.
  std::chrono::milliseconds sync_every{0};
};

/// A projection as operators see it.
struct ProjectionStatus {
  std::string name;
  std::uint32_t version = 0;
  std::string state;              ///< "opening", "running", "rebuilding", "paused", "failing"
  std::uint64_t lag_records = 0;  ///< in the log and not yet projected
  std::int64_t lag_ms = 0;        ///< age of the oldest of them, as of the last poll
  std::uint64_t done = 0;         ///< of the records that the log keeps, projected
  std::uint64_t total = 0;        ///< records that the log keeps
  double per_second = 0;          ///< records projected, between the last two polls
  std::uint64_t projected = 0;    ///< records, since start
  std::uint64_t failures = 0;     ///< since start
  std::uint64_t missed = 0;       ///< records that truncation took before they were projected, since start
  std::optional<Error> error;     ///< of the sink, which stops all shards
  /// A record that cannot be projected. Its shard waits, and it is tried again; skip() gives it up.
  struct Stuck {
    std::uint32_t shard;
    std::uint64_t sequence;
    std::uint32_t attempts;
    Error error;
  };
  std::vector<Stuck> stuck;
};

/// Runs projections over the log of all shards, each for itself: what fails or is slow holds up no other. In
/// bounded batches on an executor, woken by notify(), or by poll() where nothing notifies. Thread-safe, but
/// for add(); nothing blocks but add() never does and the destructor, which waits for the batches under way.
class Projector {
 public:
  /// All of them outlive the projector.
  Projector(Journal& journal, Executor& executor, const Clock& clock, ProjectorOptions options = {});
  ~Projector();

  /// Adds a projection, which outlives the projector. Opening its sink is the first thing that it does on the
  /// executor. `gather`: its own, instead of the options'.
  void add(Projection& projection, std::optional<std::chrono::milliseconds> gather = std::nullopt);

  /// The shard's log has grown. Cheap: for the commit path.
  void notify(std::uint32_t shard);
  /// Looks for records that nobody notified of, retries what failed, syncs sinks and measures. About once a
  /// second.
  void poll();

  /// The records of the shard after this sequence are still needed by some projection: the log may be
  /// truncated up to it. The highest number where there is no projection; 0 while one has not been opened.
  std::uint64_t retain_after(std::uint32_t shard) const;

  /// Commands of operators; they take effect soon after. not_found "no-such-projection".
  std::optional<Error> pause(std::string_view name);
  std::optional<Error> resume(std::string_view name);
  /// Forgets what the projection built and builds it from all that the log keeps.
  std::optional<Error> rebuild(std::string_view name);
  /// Gives up a record that is stuck; not_found "no-such-record" if it is not.
  std::optional<Error> skip(std::string_view name, std::uint32_t shard, std::uint64_t sequence);

  std::vector<ProjectionStatus> status() const;
  /// Adds cx_projection_* of the projections that were added; they are read until this is destroyed.
  void measure(Metrics& metrics) const;

 private:
  Result<Runner*> find(std::string_view name) const;

  Journal& journal_;
  Executor& executor_;
  const Clock& clock_;
  const ProjectorOptions options_;
  std::vector<std::unique_ptr<Runner>> runners_;
};

}  // namespace cx
