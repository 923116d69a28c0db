#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace cx::grpc_gateway {

/// Counts the calls under way, so that a server can refuse new ones and wait for the rest. Thread-safe.
class Gate {
 public:
  /// Counts a call; false if it is to be refused. Every enter() needs its leave().
  bool enter() {
    const std::lock_guard lock(mutex_);
    ++calls_;
    return open_;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--calls_ == 0) none_.notify_all();
  }
  /// Closes, and waits for the calls under way, at most for `grace`.
  void close(std::chrono::milliseconds grace) {
    std::unique_lock lock(mutex_);
    open_ = false;
    none_.wait_for(lock, grace, [this] { return calls_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  std::size_t calls_ = 0;
  bool open_ = true;
};

}  // namespace cx::grpc_gateway
