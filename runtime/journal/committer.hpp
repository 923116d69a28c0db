#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/environment/executor.hpp"
#include "runtime/journal/journal.hpp"

namespace cx {

/// Group commit: takes what many writers want appended and hands it to the journal together, so that one sync
/// serves all that waited for the one before. Thread-safe; `executor` runs at most one of its tasks at a time
/// for us.
class Committer {
 public:
  /// `sync_always`: every commit waits for the disk. Otherwise the owner calls Journal::sync() at intervals.
  Committer(Journal& journal, Executor& executor, bool sync_always);

  /// Called on the executor's thread with one entry for each append.
  using Done = std::function<void(std::vector<std::optional<Error>>)>;
  void submit(std::vector<Append> appends, Done done);

  /// `followed` is called, on the executor's thread, with the shard of each append that somebody follows,
  /// when it is committed. To be set before the first submit().
  void on_followed(std::function<void(std::uint32_t shard)> followed) { followed_ = std::move(followed); }

  /// Group commits so far, and appends in them.
  std::uint64_t commits() const { return commits_.load(std::memory_order_relaxed); }
  std::uint64_t appends() const { return appends_.load(std::memory_order_relaxed); }

 private:
  struct Waiting {
    std::vector<Append> appends;
    Done done;
  };
  void run();

  Journal& journal_;
  Executor& executor_;
  const bool sync_always_;
  std::function<void(std::uint32_t)> followed_;
  std::mutex mutex_;  // guards the two below
  std::vector<Waiting> waiting_;
  bool running_ = false;
  std::atomic<std::uint64_t> commits_{0}, appends_{0};
};

}  // namespace cx
