#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace cx {

/// Small number of the calling thread, dense from 0; wraps at kTelemetrySlots.
inline constexpr std::size_t kTelemetrySlots = 32;
std::size_t telemetry_slot() noexcept;

/// A counter that threads add to without sharing a cache line, and that is summed when read. A read during
/// writes is some value between. 2 KiB each: one per thing that is counted, never one per actor.
class Counter {
 public:
  void add(std::int64_t n = 1) noexcept {
    cells_[telemetry_slot()].n.fetch_add(n, std::memory_order_relaxed);
  }
  std::int64_t value() const noexcept {
    std::int64_t sum = 0;
    for (const Cell& cell : cells_) sum += cell.n.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(64) Cell {
    std::atomic<std::int64_t> n{0};
  };
  std::array<Cell, kTelemetrySlots> cells_;
};

}  // namespace cx
