#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/pool/heap.hpp"
#include "providers/pool/policy.hpp"
#include "providers/pool/times.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"

namespace cx::pool {

/// Names an accepted item until it is answered. The lower 32 bits are dense from 0 and reused after the
/// answer.
using Ticket = std::uint64_t;
inline std::uint32_t index(Ticket ticket) {
  return static_cast<std::uint32_t>(ticket);
}

/// An item as it is offered.
struct Arrival {
  std::string_view id = {};   ///< the same for the same work; empty: never a duplicate
  std::string_view key = {};  ///< what is limited and broken together: a tenant's channel, a model
  std::uint32_t weight = 1;   ///< 0 counts as 1
  SteadyTime deadline = SteadyTime::max();  ///< not started at or after it
  std::optional<Rate> rate = std::nullopt;  ///< of the key from now on; absent: the policy's
  std::size_t key_batches = 0;  ///< of the key at once from now on; 0: the policy's max_key_batches
  std::uint32_t attempts = 0;   ///< of this item; 0: the policy's
};

enum class Admission {
  accepted,   ///< exactly one Answer follows
  duplicate,  ///< an item of this id is queued or in flight, see the ticket; nothing was taken
  full,       ///< the queue, or the key's part of it; nothing was taken
  draining,   ///< nothing is taken any more
};

/// How an attempt went.
enum class Verdict {
  done,
  retry,    ///< it did not happen, and may another time
  failed,   ///< it did not happen and never will
  unknown,  ///< nobody knows whether it happened
};

struct Report {
  Verdict verdict = Verdict::unknown;
  /// With retry and unknown, when above 0: the receiver asked to be left alone so long (Retry-After). Nothing
  /// of the key starts until then; it is no failure to the circuit breaker.
  Duration after{0};
};

/// How an item ended.
enum class Ending {
  done,
  failed,      ///< for good, or out of attempts
  unknown,     ///< it was not done as far as is known, but the outcome of an attempt is not
  expired,     ///< its time came before an attempt could start, or would come before the next
  given_back,  ///< the pool is draining: offer it elsewhere or later, with the same id
  refused,     ///< never accepted: the queue is full
};

struct Answer {
  Ticket ticket = 0;
  Ending ending = Ending::done;
  std::uint32_t attempts = 0;  ///< that were started
  std::uint32_t unknown = 0;   ///< of them, how many have an outcome that nobody knows
};

/// Items of one key that go to a worker together.
struct Batch {
  struct Member {
    Ticket ticket = 0;
    std::uint32_t attempt = 0;  ///< from 1
    SteadyTime expires;         ///< its deadline or longest stay, whichever is first
  };
  std::uint64_t id = 0;    ///< for finished()
  std::size_t worker = 0;  ///< below Policy::workers
  std::size_t weight = 0;
  bool hedge = false;           ///< it is with another worker already, which takes long
  SteadyTime oldest;            ///< when the first of its members was offered
  std::vector<Member> members;  ///< in the order in which they were offered
};

enum class Breaker { closed, open, half_open };

/// Decides what a pool does next: which items go to which worker and when, what is tried again, who is
/// answered what. Pure: time and chance are passed in, nothing happens by itself. Between keys it goes round;
/// within a key it is first come first served among the items that may go, one that waits for its next
/// attempt holds up nobody. Every operation is O(log n) in the items held, and in the steady state allocates
/// nothing. One thread at a time.
///
/// After any call the owner starts what dispatch() gives until it gives nothing, hands out take_answers(),
/// and calls again at wake().
///
/// A key that has had no items for a breaker's pause, nor a debt to its rate, is forgotten.
class Core {
 public:
  Core(const Policy& policy, Random random);

  struct Offered {
    Admission admission;
    Ticket ticket;  ///< of the item, or of the one that it duplicates; 0 otherwise
  };
  Offered offer(const Arrival& arrival, SteadyTime now);

  /// Fills in the next batch that starts now, which counts as in flight; false when there is none. Expires
  /// what is due.
  bool dispatch(SteadyTime now, Batch& batch);
  /// A worker's report of a batch, one a member in order; one that is short leaves the rest unknown. Of a
  /// batch and its hedge, the first whose report is done or failed for every member counts, or else the last.
  /// Ignored when the batch was given up before (max_attempt, lost()) or its twin was first. False if so.
  bool finished(std::uint64_t batch, std::span<const Report> reports, SteadyTime now);
  /// Indexes of the tickets in a batch, in order; none when it is no longer in flight. Valid until the next
  /// call.
  std::span<const std::uint32_t> members(std::uint64_t batch) const;
  /// A worker died and was replaced: what was with it is unknown, unless another has it, too.
  void lost(std::size_t worker, SteadyTime now);
  /// A worker is new, and given nothing as long as there is one that is warm; at first all are.
  void cold(std::size_t worker) { workers_[worker].cold = true; }
  void warm(std::size_t worker) { workers_[worker].cold = false; }
  /// Changes what holds for a key, for what waits, too; see Arrival. Nothing for a key that is not
  /// remembered.
  void adjust(std::string_view key, const Rate& rate, std::size_t key_batches, SteadyTime now);
  /// Takes no more, gives back what waits, or when `serve`, still starts it; what is in flight is finished,
  /// but not tried again.
  void drain(SteadyTime now, bool serve = false);
  bool draining() const { return draining_; }

  /// Swaps `into` (its contents are dropped) with the answers since the last call.
  void take_answers(std::vector<Answer>& into);
  /// When something changes though nobody calls: dispatch() must be called at, not before, this time. To be
  /// asked when dispatch() gave nothing. SteadyTime::max(): never.
  SteadyTime wake() const;

  std::size_t queued() const { return held_ - in_flight_; }  ///< items not with a worker
  std::size_t in_flight() const { return in_flight_; }       ///< items with a worker
  std::size_t weight() const { return weight_; }             ///< accepted, not yet answered
  std::size_t open_breakers() const { return broken_; }      ///< keys, half-open ones too
  std::uint64_t opened() const { return opened_; }           ///< times that a breaker opened
  std::size_t keys() const { return names_.size(); }         ///< remembered
  Breaker breaker(std::string_view key) const;
  std::size_t batch_limit() const { return limit_; }        ///< weight of a batch now, see batch_time
  Duration p95() const { return times_.p95(); }             ///< of how long a batch takes; 0: not known yet
  Duration busy() const { return busy_; }                   ///< what all batches took that were reported
  std::uint64_t hedges() const { return hedges_; }          ///< batches given to a second worker
  std::uint64_t hedges_won() const { return hedges_won_; }  ///< those whose second answer counted

 private:
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  enum class State : std::uint8_t { free, waiting, pausing, flying };

  struct Item {
    std::string id;
    State state = State::free;
    std::uint32_t generation = 0, key = 0, weight = 0, attempts = 0, unknown = 0;
    std::uint32_t most_attempts = 0;
    std::uint64_t sequence = 0;
    SteadyTime since, expires;
    std::uint32_t flight = kNone;
    bool urgent = false;
    std::uint32_t in_timers = kNowhere, in_line = kNowhere;  // places in heaps
  };
  struct Key {
    std::string name;
    Heap<Item, &Item::in_line> line;  // waiting items by sequence
    std::size_t line_weight = 0, weight = 0, items = 0, batches = 0;
    std::size_t urgent = 0;        // in line, that wait for company no longer
    std::size_t most_batches = 0;  // at once; 0: any
    Rate rate;
    SteadyTime paid_until, held_until, open_until;  // GCRA's theoretical arrival time; Retry-After; breaker
    Breaker breaker = Breaker::closed;
    std::uint32_t failures = 0;
    std::uint64_t probe = 0;                      // batch that decides a half-open breaker; 0: none
    std::uint32_t before = kNone, after = kNone;  // in the ring of keys that may go
    bool in_ring = false;
    std::uint32_t in_timers = kNowhere;
    SteadyTime forget_at = SteadyTime::min();  // min(): it has, or just had, items
  };
  struct Flight {
    std::uint64_t id = 0;  // 0: free
    std::size_t worker = 0, weight = 0;
    std::uint32_t key = 0, twin = kNone;  // of the same items
    bool hedge = false;                   // it is the second of the two
    SteadyTime started;
    std::uint32_t in_timers = kNowhere;
    std::vector<std::uint32_t> items;  // none: its twin has answered
  };
  struct Slot {
    std::size_t load = 0;  // batches with the worker
    bool cold = false;
    SteadyTime free_since = SteadyTime::min();  // it has last reported
  };

  void advance(SteadyTime now);
  std::uint32_t pick(SteadyTime now, bool room) const;
  SteadyTime waits_until(const Key& key) const;
  std::size_t freest() const;
  std::uint32_t take_off(std::size_t worker, std::uint32_t key, SteadyTime now, Batch& batch);
  void fill(Flight& flight, SteadyTime now, Batch& batch);
  bool can_hedge() const;
  bool hedge(SteadyTime now, Batch& batch);
  void measure(const Flight& flight, SteadyTime now);
  void part(std::uint32_t flight);
  void report(std::uint32_t item, const Report& report, SteadyTime now);
  void judge(Key& key, std::uint64_t flight, std::span<const Report> reports, SteadyTime now);
  void set_breaker(Key& key, Breaker state);
  void enter_line(std::uint32_t item, SteadyTime now);
  void leave_line(std::uint32_t item);
  void end(std::uint32_t item, Ending ending);

  Ticket ticket(std::uint32_t item) const;
  std::uint32_t key_of(std::string_view name);
  void set_rate(Key& key, const Rate& rate, SteadyTime now);
  void refresh(std::uint32_t key, SteadyTime now);
  void rest(std::uint32_t key, SteadyTime now);
  SteadyTime may_go(const Key& key) const;
  void enter_ring(std::uint32_t key);
  void leave_ring(std::uint32_t key);

  const Policy policy_;
  Random random_;
  bool draining_ = false;
  std::size_t held_ = 0, in_flight_ = 0, weight_ = 0, broken_ = 0;
  std::uint64_t sequence_ = 0, flights_started_ = 0, opened_ = 0;

  std::deque<Item> items_;  // addresses stay: ids_ refers to their ids
  std::deque<Key> keys_;
  std::deque<Flight> flights_;
  std::vector<std::uint32_t> free_items_, free_keys_, free_flights_;
  boost::unordered_flat_map<std::string_view, std::uint32_t> ids_, names_;
  Heap<Item, &Item::in_timers> item_timers_;  // expiry, next attempt or end of the attempt
  Heap<Key, &Key::in_timers> key_timers_;
  Heap<Flight, &Flight::in_timers> late_timers_;  // when a flight takes long
  std::uint32_t ring_ = kNone;                    // the key whose turn it is
  std::vector<Slot> workers_;
  Times times_;
  Costs costs_;
  Duration busy_{0};
  std::size_t limit_;
  std::uint64_t hedges_ = 0, hedges_won_ = 0, hedge_credit_ = 0;
  std::vector<Answer> answers_;
};

}  // namespace cx::pool
