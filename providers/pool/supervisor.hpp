#pragma once

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include "providers/pool/actors.hpp"

namespace cx::pool {

/// A running pool: hands submissions to its supervisor. Copies are the same pool. Thread-safe; outlived by
/// the actor system. When the supervisor has ended, submissions are given back.
template <class Item, class Value>
class Pool {
 public:
  Pool() = default;
  Pool(caf::actor supervisor, std::shared_ptr<Gate> gate)
      : supervisor_(std::move(supervisor)), gate_(std::move(gate)) {}

  /// Settles the submission, later or (refused) at once.
  void submit(Submission<Item, Value> submission) const {
    const bool entered = gate_->enter();
    auto offer = std::make_shared<Offer<Item, Value>>(std::move(submission), entered ? gate_ : nullptr);
    if (entered)
      caf::anon_send(supervisor_, Offered<Item, Value>{std::move(offer)});
    else
      offer->turn_away(Ending::refused);
  }
  /// Changes the rate of a key and how many of it may be with workers at once (0: the policy's), for what
  /// waits, too.
  void adjust(std::string key, const Rate& rate, std::size_t key_batches) const {
    caf::anon_send(supervisor_, Adjust{std::move(key), rate, key_batches});
  }
  /// Takes no more, gives back what waits, finishes what is in flight and then calls `done`, on the
  /// supervisor's thread.
  void drain(std::function<void()> done) const { caf::anon_send(supervisor_, Drain{std::move(done), false}); }
  /// Ends the supervisor and its workers; what is queued is given back, what is in flight unknown.
  void stop() const { caf::anon_send_exit(supervisor_, caf::exit_reason::user_shutdown); }
  const caf::actor& supervisor() const { return supervisor_; }

 private:
  caf::actor supervisor_;
  std::shared_ptr<Gate> gate_;
};

/// Spawns a supervisor, named `name` + "-supervisor" in the metrics, and its workers, `name` + "-worker".
/// `make_worker` is called on the workers' threads. `seed` feeds the jitter of retries. The references
/// outlive the actor system.
template <class Item, class Value>
Pool<Item, Value> spawn(caf::actor_system& system, const std::string& name, const Policy& policy,
                        WorkerFactory<Item, Value> make_worker, const Clock& clock, std::uint64_t seed,
                        Metrics& metrics, Probe& probe) {
  auto& own = metrics.kind(name + "-supervisor");
  own.addresses = {name + "-supervisor/system/pool"};
  auto supervisor = system.spawn<Supervisor<Item, Value>>(
      own, SupervisorParts<Item, Value>{policy, seed, std::move(make_worker), clock,
                                        metrics.kind(name + "-worker"), probe});
  return {caf::actor_cast<caf::actor>(supervisor), std::make_shared<Gate>(policy.max_queue, probe.shed)};
}

}  // namespace cx::pool
