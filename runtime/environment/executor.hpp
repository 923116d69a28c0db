#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cx {

/// Somewhere else to run what may block. Thread-safe.
class Executor {
 public:
  using Task = std::function<void()>;
  virtual ~Executor() = default;
  virtual void post(Task task) = 0;
};

/// Threads that run tasks in the order in which they were posted.
class ThreadPool final : public Executor {
 public:
  /// `niceness`: of the threads, 0 to 19; the higher, the more they leave to others when there is little CPU.
  explicit ThreadPool(unsigned threads, int niceness = 0);
  ~ThreadPool() override;
  void post(Task task) override;
  /// Runs what is left; what is posted afterwards is dropped. The destructor does the same. By one thread.
  void stop();

 private:
  void run(int niceness);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  bool stop_ = false;
  bool stopped_ = false;  // nobody is there to run tasks
  std::vector<std::thread> threads_;
};

}  // namespace cx
