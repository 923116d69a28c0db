#pragma once

#include <chrono>
#include <unistd.h>

#include "tools/campaignctl/io.hpp"

namespace cx::ctl {

/// Tells on stderr how far a long command has come: at once and then every second on a terminal, else a line
/// each 10 s.
class Progress {
 public:
  explicit Progress(bool quiet) : quiet_(quiet) {}

  /// `line()` makes the text where it is time for one.
  template <class Line>
  void tell(Line line) {
    if (quiet_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + interval_;
    say(line());
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool quiet_;
  bool terminal_ = isatty(STDERR_FILENO) != 0;
  Clock::duration interval_ = terminal_ ? std::chrono::seconds(1) : std::chrono::seconds(10);
  Clock::time_point next_ = terminal_ ? Clock::time_point() : Clock::now() + interval_;
};

}  // namespace cx::ctl
