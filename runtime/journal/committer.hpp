#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/environment/serial_task.hpp"
#include "runtime/journal/journal.hpp"

namespace cx {

/// Group commit: takes what many writers want appended and hands it to the journal together, so that one sync
/// serves all that waited for the one before. One group of a committer is under way at a time; those of
/// several committers, each with shards of its own, are side by side. Thread-safe.
class Committer {
 public:
  /// `sync_always`: every commit waits for the disk. Otherwise the owner calls Journal::sync() at intervals.
  Committer(Journal& journal, Executor& executor, bool sync_always);

  /// Called on a thread of the executor's with one entry for each append.
  using Done = std::function<void(std::vector<std::optional<Error>>)>;
  void submit(std::vector<Append> appends, Done done);

  /// `followed` is called, on a thread of the executor's, with the shard of each append that somebody
  /// follows, when it is committed. To be set before the first submit().
  void on_followed(std::function<void(std::uint32_t shard)> followed) { followed_ = std::move(followed); }

  /// Group commits so far, and appends in them.
  std::uint64_t commits() const { return commits_.load(std::memory_order_relaxed); }
  std::uint64_t appends() const { return appends_.load(std::memory_order_relaxed); }

 private:
  struct Waiting {
    std::vector<Append> appends;
    Done done;
  };
  void commit();

  Journal& journal_;
  const bool sync_always_;
  std::function<void(std::uint32_t)> followed_;
  std::mutex mutex_;  // guards the next
  std::vector<Waiting> waiting_;
  std::atomic<std::uint64_t> commits_{0}, appends_{0};
  SerialTask task_;  // last: its turns use the others
};

}  // namespace cx
