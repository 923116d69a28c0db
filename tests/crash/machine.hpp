#pragma once

#include <memory>
#include <rocksdb/env.h>
#include <unistd.h>

#include "runtime/environment/environment.hpp"
#include "runtime/random.hpp"
#include "tests/faults/fault_files.hpp"

namespace cx::test {

/// The machine that we run on: its clock and its disk, but the power of the disk can be lost, and the network
/// repeats itself. Thread-safe.
class Machine final : public Environment {
 public:
  /// `twice`: the chance, 0 to 1, that a message between two shards is delivered a second time.
  explicit Machine(double twice)
      : disk_(std::make_shared<FaultFiles>(rocksdb::FileSystem::Default())),
        env_(rocksdb::NewCompositeEnv(disk_)),
        twice_(twice) {}

  const Clock& clock() const override { return clock_; }
  std::uint64_t random() override { return system_environment().random(); }
  rocksdb::Env& files() override { return *env_; }
  void carry(std::uint32_t, std::uint32_t, std::function<void()> deliver) override {
    deliver();
    if (twice_ > 0 && Random(random()).uniform() < twice_) deliver();
  }

  FaultFiles& disk() { return *disk_; }

  /// Ends the process, and leaves of its files what was synced; `seed` as in FaultFiles::restore_power.
  [[noreturn]] void lose_power(std::uint64_t seed) {
    disk_->lose_power();
    disk_->restore_power(seed);
    _exit(0);
  }

 private:
  const SystemClock clock_;
  const std::shared_ptr<FaultFiles> disk_;
  const std::unique_ptr<rocksdb::Env> env_;
  const double twice_;
};

}  // namespace cx::test
