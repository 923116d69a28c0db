#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/environment/executor.hpp"

namespace cx {

/// Gives tasks to an executor after a pause, without a thread of the executor waiting: what is posted during
/// one pause together, at its end. What waits when it is destroyed is dropped. Thread-safe; the executor
/// outlives it.
class Later final : public Executor {
 public:
  Later(Executor& executor, std::chrono::milliseconds pause)
      : executor_(executor), pause_(pause), thread_([this] { run(); }) {}
  ~Later() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  void post(Task task) override {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
      if (wake_.wait_for(lock, pause_, [this] { return stop_; })) return;
      std::vector<Task> due;
      due.swap(tasks_);
      lock.unlock();
      for (auto& task : due) executor_.post(std::move(task));
      lock.lock();
    }
  }

  Executor& executor_;
  const std::chrono::milliseconds pause_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Task> tasks_;
  bool stop_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace cx
