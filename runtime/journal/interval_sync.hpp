#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "runtime/journal/journal.hpp"

namespace cx {

/// Syncs a journal at intervals while it lives, on a thread of its own. A failed sync is the next append's to
/// report.
class IntervalSync {
 public:
  IntervalSync(Journal& journal, std::chrono::milliseconds interval);

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace cx
