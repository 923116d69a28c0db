#pragma once

#include <chrono>
#include <cstdint>

namespace cx {

using SteadyTime = std::chrono::steady_clock::time_point;

/// Where time comes from. Actors ask this and nothing else, so that a test can set it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// UTC, Unix milliseconds.
  virtual std::int64_t unix_ms() const = 0;
  /// For deadlines; never goes back.
  virtual SteadyTime steady() const = 0;
};

class SystemClock final : public Clock {
 public:
  std::int64_t unix_ms() const override {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  }
  SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace cx
