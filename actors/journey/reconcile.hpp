#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/journey/book.hpp"
#include "actors/journey/report.hpp"
#include "runtime/environment/serial_task.hpp"
#include "runtime/telemetry/counter.hpp"

namespace cx::journey {

/// Has the instances follow their journey's stage: sends ReconsiderRun to those that are paused while the
/// journey is not, and to those that are not over though the journey is archived. It looks at how things are
/// rather than at what has happened, so nothing has to be remembered across a restart; an instance that has
/// nothing to reconsider does nothing. Each look is a query of a handful of rows where all is well.
class Reconciler {
 public:
  static constexpr std::size_t kUnderWay = 200;  ///< instances that are asked at once

  /// Sends ReconsiderRun to an instance; `done` is called once, on any thread. Must not block.
  using Send = std::function<void(const std::string& to, std::function<void()> done)>;
  /// All outlive this; `executor` runs what blocks. `send` may be called from the first poll() on.
  Reconciler(const Book& book, const RunLists& lists, Executor& executor, Send send);
  ~Reconciler();

  /// Looks soon: after a stage has changed, and every few seconds, since instances are seen with a delay.
  /// Cheap, thread-safe.
  void poll();

  std::uint64_t sent() const { return sent_.value(); }

 private:
  struct Flights;
  /// Runs of a journey and status, to be asked from a place on.
  struct Sweep {
    RunLists::Open of;
    RunLists::Place after;
  };
  bool turn();
  bool load();

  const Book& book_;
  const RunLists& lists_;
  const Send send_;
  const std::shared_ptr<Flights> flights_;
  std::atomic<bool> asked_{false};
  Counter sent_;
  // Of the turn.
  std::deque<Sweep> sweeps_;
  std::deque<std::string> next_;
  SerialTask task_;  // last: it uses the others
};

}  // namespace cx::journey
