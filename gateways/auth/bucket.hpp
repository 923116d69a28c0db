#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/access/authenticator.hpp"

namespace cx::auth {

/// So many tokens, filled anew within the window; none of it when `tokens` is 0.
struct Rate {
  std::uint32_t tokens = 0;
  std::uint32_t window_seconds = 0;
};

/// A token bucket as the generic cell rate algorithm: all that there is of it is the time at which it will
/// be full. Exact however many threads take from it. Thread-safe, lock-free.
class Bucket {
 public:
  /// Takes `cost` tokens, one at least and the whole bucket at most, or none at all. `now`: steady,
  /// nanoseconds. False when it has too few.
  bool take(const Rate& rate, std::uint32_t cost, std::int64_t now, Quota& quota) {
    if (rate.tokens == 0) return true;
    const std::int64_t window = std::int64_t{rate.window_seconds} * kSecond;
    const std::int64_t token = std::max<std::int64_t>(window / rate.tokens, 1);
    const std::int64_t most = token * rate.tokens;
    const std::int64_t price = token * std::clamp<std::uint32_t>(cost, 1, rate.tokens);
    std::int64_t full = full_at_.load(std::memory_order_relaxed);
    for (;;) {
      // Of a bucket that was larger before, no more is missing than the whole of it now, and from now on.
      if (full > now + most && !full_at_.compare_exchange_weak(full, now + most, std::memory_order_relaxed))
        continue;
      const std::int64_t base = std::clamp(full, now, now + most);
      const bool granted = base + price <= now + most;
      if (granted && !full_at_.compare_exchange_weak(full, base + price, std::memory_order_relaxed)) continue;
      const std::int64_t missing = (granted ? base + price : base) - now;
      quota.limit = rate.tokens;
      quota.window_seconds = rate.window_seconds;
      quota.remaining = static_cast<std::uint32_t>((most - missing) / token);
      quota.reset_seconds = seconds(missing);
      quota.retry_seconds = granted ? 0 : std::max(seconds(base + price - now - most), 1U);
      return granted;
    }
  }

 private:
  static constexpr std::int64_t kSecond = 1'000'000'000;
  static std::uint32_t seconds(std::int64_t ns) {
    return static_cast<std::uint32_t>((ns + kSecond - 1) / kSecond);
  }

  std::atomic<std::int64_t> full_at_{0};
};

/// Buckets by name, each for as long as somebody holds it: what is compiled anew goes on with the bucket that
/// it had. Thread-safe; not for hot paths.
class Buckets {
 public:
  std::shared_ptr<Bucket> of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (auto held = held_[name].lock()) return held;
    if (held_.size() > 2 * swept_ + 1000) {
      std::erase_if(held_, [](const auto& entry) { return entry.second.expired(); });
      swept_ = held_.size();
    }
    auto made = std::make_shared<Bucket>();
    held_[name] = made;
    return made;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Bucket>> held_;
  std::size_t swept_ = 0;  // how many were left when it was swept last
};

}  // namespace cx::auth
