#include "runtime/environment/executor.hpp"

#include <sys/resource.h>
#include <unistd.h>
#include <utility>

namespace cx {

ThreadPool::ThreadPool(unsigned threads, int niceness) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this, niceness] { run(niceness); });
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  std::deque<Task> late;
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  late.swap(tasks_);
}

void ThreadPool::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void ThreadPool::run(int niceness) {
  // Linux takes a thread's id for a process's; elsewhere all threads would become as nice.
#ifdef __linux__
  if (niceness != 0) ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
#endif
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    {
      const Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }  // what the task holds is let go of without the lock
    lock.lock();
  }
}

}  // namespace cx
