#include "tests/faults/fault_environment.hpp"

#include <utility>

namespace cx::test {

FaultEnvironment::FaultEnvironment(std::uint64_t seed, std::shared_ptr<rocksdb::FileSystem> base)
    : disk_(std::make_shared<FaultFiles>(std::move(base))),
      env_(rocksdb::NewCompositeEnv(disk_)),
      random_(seed) {}

std::uint64_t FaultEnvironment::random() {
  const std::lock_guard lock(mutex_);
  return random_.next();
}

void FaultEnvironment::network(Network network) {
  const std::lock_guard lock(mutex_);
  network_ = network;
}

void FaultEnvironment::carry(std::uint32_t, std::uint32_t, std::function<void()> deliver) {
  int now = 0;
  {
    const std::lock_guard lock(mutex_);
    if (random_.uniform() < network_.lose) return;
    for (int copies = random_.uniform() < network_.twice ? 2 : 1; copies > 0; --copies) {
      if (random_.uniform() < network_.delay)
        delayed_.push_back(deliver);
      else
        ++now;
    }
  }
  for (; now > 0; --now) deliver();
}

std::size_t FaultEnvironment::release() {
  std::size_t waiting = 0;
  {
    const std::lock_guard lock(mutex_);
    waiting = delayed_.size();
  }
  for (std::size_t released = 0; released < waiting; ++released) {
    std::function<void()> deliver;
    {
      const std::lock_guard lock(mutex_);
      if (delayed_.empty()) return released;  // another thread releases, too
      std::swap(delayed_[random_.below(static_cast<std::uint32_t>(delayed_.size()))], delayed_.back());
      deliver = std::move(delayed_.back());
      delayed_.pop_back();
    }
    deliver();
  }
  return waiting;
}

}  // namespace cx::test
