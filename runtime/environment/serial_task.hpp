#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/environment/executor.hpp"

namespace cx {

/// Work that an executor does in turns, one at a time, at least one after every wake(). A turn that leaves
/// work over returns true and gets another one, behind whatever else waits for the executor. Thread-safe; the
/// executor outlives it, and what `turn` refers to has to live until stop() has returned.
class SerialTask {
 public:
  using Turn = std::function<bool()>;
  SerialTask(Executor& executor, Turn turn) : state_(std::make_shared<State>(executor, std::move(turn))) {}
  ~SerialTask() { stop(); }

  /// Cheap: however many wakes there are between two turns, the executor gets one task.
  void wake() { State::wake(state_); }

  /// When this returns no turn is under way, or will be; called by a turn, it only sees to the latter.
  void stop() {
    std::unique_lock lock(state_->mutex);
    state_->stopped = true;
    state_->ended.wait(lock,
                       [&] { return !state_->running || state_->runner == std::this_thread::get_id(); });
  }

 private:
  struct State {
    State(Executor& e, Turn t) : executor(e), turn(std::move(t)) {}

    static void wake(const std::shared_ptr<State>& state) {
      {
        const std::lock_guard lock(state->mutex);
        state->wanted = true;
        if (state->posted || state->stopped) return;
        state->posted = true;
      }
      state->executor.post([state] { run(state); });
    }

    static void run(const std::shared_ptr<State>& state) {
      {
        const std::lock_guard lock(state->mutex);
        if (state->stopped) return;
        state->wanted = false;
        state->running = true;
        state->runner = std::this_thread::get_id();
      }
      const bool more = state->turn();
      {
        const std::lock_guard lock(state->mutex);
        state->running = false;
        state->posted = (more || state->wanted) && !state->stopped;
        state->ended.notify_all();
        if (!state->posted) return;
      }
      state->executor.post([state] { run(state); });
    }

    Executor& executor;
    const Turn turn;
    std::mutex mutex;  // guards what follows
    std::condition_variable ended;
    bool wanted = false;  // since the turn that is under way began
    bool posted = false;  // a task of ours is with the executor
    bool running = false, stopped = false;
    std::thread::id runner;
  };
  std::shared_ptr<State> state_;
};

}  // namespace cx
