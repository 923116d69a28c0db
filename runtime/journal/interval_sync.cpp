#include "runtime/journal/interval_sync.hpp"

namespace cx {

IntervalSync::IntervalSync(Journal& journal, std::chrono::milliseconds interval)
    : thread_([this, &journal, interval](const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, stop, interval, [&] { return stop.stop_requested(); }))
          (void)journal.sync();
      }) {}

}  // namespace cx
