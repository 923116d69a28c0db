#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace cx {

/// A value that is replaced now and then and read all the time. GCC 12's std::atomic<std::shared_ptr> spins
/// on a lock, and any one count that all readers share is a cache line that they fight for. Here a reader
/// compares one atomic number, which only a writer changes, with the one that its thread saw last, and takes
/// a reference to the thread's own copy: no lock and no cache line that another thread writes, until the
/// value is replaced; then each thread locks once. A thread keeps the value that it read last alive until it
/// reads the next one: at most one for each thread.
template <class T>
class Published {
 public:
  explicit Published(std::shared_ptr<const T> first) { set(std::move(first)); }

  /// Never null if never set to it; unchanging for as long as it is held, by any thread. Thread-safe.
  std::shared_ptr<const T> get() const {
    thread_local std::vector<Seen> all;  // of every Published<T>, which are few: mostly one
    const auto version = version_.load(std::memory_order_acquire);
    for (const Seen& seen : all)
      if (seen.of == id_ && seen.version == version) return seen.value;
    return look(all);
  }

  /// Thread-safe.
  void set(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);
    version_.fetch_add(1, std::memory_order_release);
  }

 private:
  struct Seen {
    std::uint64_t of, version;
    std::weak_ptr<const char> alive;
    std::shared_ptr<const T> value;
  };

  std::shared_ptr<const T> look(std::vector<Seen>& all) const {
    std::erase_if(all, [&](const Seen& seen) { return seen.of == id_ || seen.alive.expired(); });
    const std::lock_guard lock(mutex_);
    // A count of references of its own, so that threads do not share one.
    std::shared_ptr<const T> own(value_.get(), [value = value_](const T*) {});
    all.push_back({id_, version_.load(std::memory_order_relaxed), alive_, own});
    return own;
  }

  static std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
  }

  const std::uint64_t id_ = next_id();  // an address could be that of one that is gone
  const std::shared_ptr<const char> alive_ = std::make_shared<const char>();
  mutable std::mutex mutex_;  // guards value_
  std::shared_ptr<const T> value_;
  std::atomic<std::uint64_t> version_{0};
};

}  // namespace cx
