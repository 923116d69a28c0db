#pragma once

#include <deque>
#include <mutex>

#include "runtime/environment/executor.hpp"

namespace cx::test {

/// An executor on which nothing happens but by run(). Thread-safe.
class QueuedExecutor final : public Executor {
 public:
  void post(Task task) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  /// Runs the task that waits longest; false if none does.
  bool run_one() {
    Task task;
    {
      const std::lock_guard lock(mutex_);
      if (tasks_.empty()) return false;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
    return true;
  }
  /// Runs tasks until none is left; their number.
  std::size_t run() {
    std::size_t n = 0;
    while (run_one()) ++n;
    return n;
  }

 private:
  std::mutex mutex_;
  std::deque<Task> tasks_;
};

}  // namespace cx::test
