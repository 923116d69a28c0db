#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "providers/pool/core.hpp"
#include "runtime/error.hpp"
#include "runtime/telemetry/counter.hpp"
#include "runtime/telemetry/histogram.hpp"

// What goes into a pool, what a worker is, and what comes out. No CAF: a worker and its tests need only this.

namespace cx {
class Metrics;
}

namespace cx::pool {

/// What a worker says of one attempt.
template <class Value>
struct Outcome {
  Report report;
  std::optional<Value> value;  ///< of what is done
  Error error;                 ///< of what is not: why

  static Outcome done(Value value) { return {{Verdict::done}, std::move(value), {}}; }
  /// `after`: the receiver's Retry-After; 0 without.
  static Outcome retry(Error error, Duration after = {}) {
    return {{Verdict::retry, after}, std::nullopt, std::move(error)};
  }
  static Outcome failed(Error error) { return {{Verdict::failed}, std::nullopt, std::move(error)}; }
  static Outcome unknown(Error error, Duration after = {}) {
    return {{Verdict::unknown, after}, std::nullopt, std::move(error)};
  }
};

/// One attempt at an item.
template <class Item>
struct Task {
  std::shared_ptr<const Item> item;
  std::uint32_t attempt = 1;
  /// When the item expires. An attempt may end later, but no other starts; SteadyTime::max(): never.
  SteadyTime expires;
};

/// Does the work of a pool. One actor at a time uses it; it may block that actor only, and then the pool
/// gives it one batch at a time (Policy::worker_batches 1). An asynchronous one, with many batches under way,
/// returns at once.
template <class Item, class Value>
class Worker {
 public:
  using Tasks = std::vector<Task<Item>>;
  /// Takes one outcome a task, in their order. From any thread, at most once (the rest is ignored), before or
  /// after start() returned. When the last copy is destroyed uncalled, every outcome is unknown.
  using Done = std::function<void(std::vector<Outcome<Value>>)>;

  virtual ~Worker() = default;
  /// Tasks are of one key. When it throws, they are unknown and the worker is replaced by a new one.
  virtual void start(Tasks tasks, Done done) = 0;
};

template <class Item, class Value>
using WorkerFactory = std::function<std::unique_ptr<Worker<Item, Value>>()>;

/// The final answer to a submission: exactly one each, whatever happens to the pool.
template <class Value>
struct Settled {
  Ending ending = Ending::given_back;
  std::uint32_t attempts = 0;                 ///< that were started
  std::uint32_t unknown = 0;                  ///< of them, those whose outcome nobody knows
  std::optional<Value> value = std::nullopt;  ///< when done
  Error error = {};                           ///< otherwise: of the last attempt, or why there was none
};

/// Work for a pool. An item with the id of one that is queued or in flight is not done again but joins it:
/// both get its answer (given_back, too). To be moved only.
template <class Item, class Value>
struct Submission {
  std::string id = {};  ///< empty: never a duplicate
  std::string key = {};
  std::uint32_t weight = 1;
  SteadyTime deadline = SteadyTime::max();
  std::optional<Rate> rate = std::nullopt;  ///< of the key from now on; absent: the policy's
  std::size_t key_batches = 0;              ///< of the key at once from now on; 0: the policy's
  std::uint32_t attempts = 0;               ///< of this item; 0: the policy's
  std::shared_ptr<const Item> item = nullptr;
  /// Called once, on the supervisor's thread or, when it is refused at once, the submitter's. Must be quick,
  /// not throw.
  std::function<void(Settled<Value>)> settle = nullptr;
};

/// What is counted of a pool.
struct Probe {
  SharedHistogram items;                            ///< weight of a batch
  SharedHistogram wait_ns;                          ///< offer of a batch's oldest item to its start
  Counter done, failed, expired, shed, given_back;  ///< how items ended; failed includes unknown
  Counter unknown;                                  ///< of failed, those of unknown outcome
  Counter retries;                                  ///< attempts after an item's first
  Counter joined;                                   ///< duplicates
  Counter opened;                                   ///< times that a circuit breaker opened
  Counter hedges, hedges_won;  ///< batches given to a second worker; those whose second answer counted
  Counter busy_ns;             ///< what batches took, all together
  std::atomic<std::size_t> queued{0}, in_flight{0}, open_breakers{0};
  std::atomic<std::size_t> warm{0};         ///< workers that are made
  std::atomic<std::size_t> batch_limit{0};  ///< weight of a batch, at most, for now
};

/// A pool of this name in the label `pool`.
struct NamedProbe {
  std::string name;
  const Probe* probe;
};
/// Registers what is counted of some pools as cx_pool_*. To be called once for all of them; they live as
/// long.
void add_metrics(Metrics& metrics, const std::vector<NamedProbe>& pools);

}  // namespace cx::pool
