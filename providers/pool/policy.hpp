#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace cx::pool {

using Duration = std::chrono::nanoseconds;

/// So many attempts a second, weighted, and so many at once after a rest (GCRA). In any stretch of time t no
/// more than `burst + per_second * t` start. An item that weighs more than `burst` goes when the rest was
/// complete.
struct Rate {
  double per_second = 0;  ///< not above 0: no limit
  double burst = 1;       ///< at least 1
  bool operator==(const Rate&) const = default;
};

/// What differs between pools. The defaults are a pool of message senders that is neither limited nor
/// retries.
struct Policy {
  // Where work goes.
  std::size_t workers = 1;         ///< worker actors
  bool own_threads = false;        ///< each has a thread of its own: it may block and hold up nobody
  std::size_t worker_batches = 1;  ///< batches that one worker is given at once
  std::size_t batch_items = 1;     ///< weight of a batch, unless a single item weighs more
  /// Longest that an item waits for company while every worker has all that it is given at once: past it, or
  /// when a batch is full, the batch goes to the worker that has the fewest. Absent: it waits until a worker
  /// has room. A pool that sets it is expected to have few keys (models); each is looked at whenever it may
  /// have to go. An item goes earlier when waiting so long would leave less time to its deadline than a batch
  /// takes.
  std::optional<Duration> batch_wait = std::nullopt;
  /// Longest that a batch should take: it is made no larger than fits, going by how long batches of each
  /// weight took of late. 0: batch_items always.
  Duration batch_time{0};
  /// One batch in so many, at most, may go to a second, idle worker when it takes longer than 95 % did of
  /// late: the first answer counts. For work that may be done twice. 0: none.
  std::uint32_t hedge_every = 0;
  std::size_t max_key_batches = 0;  ///< batches of one key at once, so that a slow one leaves room; 0: any

  // What it holds.
  std::size_t max_queue = 4'096;  ///< weight accepted and not yet answered; past it an offer is refused
  std::size_t max_key_queue = 0;  ///< the same of one key, so that one cannot fill the queue; 0: max_queue
  Duration max_stay{0};     ///< longest that an item may wait to be started, its retries too; 0: its deadline
  Duration max_attempt{0};  ///< an attempt not reported by then counts as unknown; 0: the worker sees to it

  Rate rate = {};  ///< of each key, for items that bring none

  // When an attempt did not work.
  std::uint32_t attempts = 1;  ///< of an item, the first included
  /// The n-th retry comes after a time drawn uniformly from [0, min(max_backoff, backoff * 2^(n-1))): full
  /// jitter.
  Duration backoff = std::chrono::milliseconds(200);
  Duration max_backoff = std::chrono::seconds(60);
  Duration max_hold = std::chrono::minutes(15);  ///< longest Retry-After that is believed
  bool retry_unknown =
      false;  ///< an attempt of unknown outcome is repeated: its receiver knows repeats by their id

  // Circuit breaker, one a key: opens after so many failures in a row, tries one item after each pause. Items
  // wait.
  std::uint32_t breaker_failures = 0;  ///< 0: none
  Duration breaker_pause = std::chrono::seconds(10);
};

/// How many workers a load needs, by Little's law: `batches_per_second` that take `each` are on average
/// rate * time under way; a worker is to be busy for the share `busy` of its time, the rest is for bursts. At
/// least 1. Both are in the metrics: the rate of cx_pool_busy_seconds_total is that product.
std::size_t workers_for(double batches_per_second, Duration each, double busy = 0.7);

}  // namespace cx::pool
