#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <rocksdb/env.h>
#include <vector>

#include "runtime/environment/environment.hpp"
#include "runtime/random.hpp"
#include "tests/faults/fault_files.hpp"

namespace cx::test {

/// A clock that moves only when told. Thread-safe.
class SetClock final : public Clock {
 public:
  std::int64_t unix_ms() const override { return ms_.load(std::memory_order_relaxed); }
  SteadyTime steady() const override { return SteadyTime(std::chrono::milliseconds(unix_ms())); }
  void set(std::int64_t ms) { ms_.store(ms, std::memory_order_relaxed); }
  void advance(std::int64_t ms) { ms_.fetch_add(ms, std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> ms_{1'700'000'000'000};
};

/// A world of which a seed decides everything. Thread-safe.
class FaultEnvironment final : public Environment {
 public:
  explicit FaultEnvironment(std::uint64_t seed = 1,
                            std::shared_ptr<rocksdb::FileSystem> base = memory_files());

  const SetClock& clock() const override { return clock_; }
  std::uint64_t random() override;
  rocksdb::Env& files() override { return *env_; }
  void carry(std::uint32_t from, std::uint32_t to, std::function<void()> deliver) override;

  SetClock& set_clock() { return clock_; }
  FaultFiles& disk() { return *disk_; }

  /// Chances, 0 to 1, of what happens to a message between two shards; all 0 at first: it is delivered at
  /// once.
  struct Network {
    double lose = 0;
    double twice = 0;
    double delay = 0;  ///< until release()
  };
  void network(Network network);
  /// Delivers as many messages as are delayed now, in random order and mixed with those that they lead to;
  /// how many.
  std::size_t release();

 private:
  SetClock clock_;
  const std::shared_ptr<FaultFiles> disk_;
  const std::unique_ptr<rocksdb::Env> env_;
  std::mutex mutex_;  // guards the rest
  Random random_;
  Network network_;
  std::vector<std::function<void()>> delayed_;
};

}  // namespace cx::test
