#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/send.hpp>
#include <memory>

#include "providers/pool/work.hpp"

// What the actors of a pool send each other; never leaves the node.

namespace cx::pool {

/// Bounds what is on its way to a supervisor or held by it, so that its mailbox cannot grow. Thread-safe.
class Gate {
 public:
  Gate(std::size_t limit, Counter& shed) : limit_(limit), shed_(shed) {}
  bool enter() {
    if (inside_.fetch_add(1, std::memory_order_relaxed) < limit_) return true;
    leave();
    shed_.add();
    return false;
  }
  void leave() { inside_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  const std::size_t limit_;
  Counter& shed_;
  std::atomic<std::size_t> inside_{0};
};

/// The error of an ending other than done. `last`: of the last attempt, if there was one.
Error error_of(Ending ending, const Error& last = {});

/// A submission under way; settles it once, at the latest when it is destroyed.
template <class Item, class Value>
class Offer {
 public:
  /// `gate`: entered; may be null.
  Offer(Submission<Item, Value> submission, std::shared_ptr<Gate> gate)
      : submission_(std::move(submission)), gate_(std::move(gate)) {}
  Offer(const Offer&) = delete;
  Offer& operator=(const Offer&) = delete;
  ~Offer() { turn_away(Ending::given_back); }

  const Submission<Item, Value>& submission() const { return submission_; }
  void settle(Settled<Value> settled) {
    const auto settle = std::exchange(submission_.settle, nullptr);
    if (!settle) return;
    if (gate_) gate_->leave();
    settle(std::move(settled));
  }
  /// Settles it without an attempt.
  void turn_away(Ending ending) {
    if (submission_.settle) settle({ending, 0, 0, std::nullopt, error_of(ending)});
  }

 private:
  Submission<Item, Value> submission_;
  std::shared_ptr<Gate> gate_;
};

template <class Item, class Value>
struct Offered {
  std::shared_ptr<Offer<Item, Value>> offer;
};
template <class Item, class Value>
struct Start {
  std::uint64_t batch = 0;
  caf::actor supervisor;
  typename Worker<Item, Value>::Tasks tasks;
};
template <class Value>
struct Finished {
  std::uint64_t batch = 0;
  std::vector<Outcome<Value>> outcomes;
};
struct Drain {
  std::function<void()> done;
  bool serve = false;  // start what waits
};
/// A worker actor has made its worker; it failed when not `well`, and tries again when there is work.
struct Made {
  caf::actor_addr worker;
  bool well = false;
};
struct Adjust {
  std::string key;
  Rate rate;
  std::size_t key_batches = 0;
};
struct Tick {};

/// What Worker::Done does: tells the supervisor once, at the latest when its last copy is destroyed.
template <class Value>
class Completion {
 public:
  Completion(caf::actor supervisor, std::uint64_t batch, std::size_t size)
      : supervisor_(std::move(supervisor)), batch_(batch), size_(size) {}
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  ~Completion() { fail("the worker dropped the work without an outcome"); }

  void operator()(std::vector<Outcome<Value>> outcomes) {
    if (outcomes.size() != size_) return fail("the worker gave another number of outcomes");
    if (!told_.exchange(true)) caf::anon_send(supervisor_, Finished<Value>{batch_, std::move(outcomes)});
  }
  /// Every outcome is unknown, unless told before.
  void fail(const std::string& why) {
    if (told_.exchange(true)) return;
    const auto unknown = Outcome<Value>::unknown({Code::internal, "worker-failed", why, ""});
    caf::anon_send(supervisor_, Finished<Value>{batch_, std::vector<Outcome<Value>>(size_, unknown)});
  }

 private:
  const caf::actor supervisor_;
  const std::uint64_t batch_;
  const std::size_t size_;
  std::atomic<bool> told_{false};
};

}  // namespace cx::pool

namespace caf {

template <class Item, class Value>
struct allowed_unsafe_message_type<cx::pool::Offered<Item, Value>> : std::true_type {};
template <class Item, class Value>
struct allowed_unsafe_message_type<cx::pool::Start<Item, Value>> : std::true_type {};
template <class Value>
struct allowed_unsafe_message_type<cx::pool::Finished<Value>> : std::true_type {};
template <>
struct allowed_unsafe_message_type<cx::pool::Drain> : std::true_type {};
template <>
struct allowed_unsafe_message_type<cx::pool::Made> : std::true_type {};
template <>
struct allowed_unsafe_message_type<cx::pool::Adjust> : std::true_type {};
template <>
struct allowed_unsafe_message_type<cx::pool::Tick> : std::true_type {};

}  // namespace caf
