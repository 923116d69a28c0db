#pragma once

#include <caf/event_based_actor.hpp>
#include <caf/message_handler.hpp>
#include <exception>

#include "providers/pool/messages.hpp"
#include "runtime/metered.hpp"

// The actors of a pool. Users of a pool need supervisor.hpp only; a pool with an interface of its own derives
// from Supervisor.

namespace cx::pool {

/// Runs a Worker, and replaces it when it throws.
template <class Item, class Value>
class WorkerActor final : public Metered<caf::event_based_actor> {
 public:
  WorkerActor(caf::actor_config& config, KindProbe& probe, WorkerFactory<Item, Value> make_worker,
              caf::actor_addr supervisor)
      : Metered(config, probe), make_worker_(std::move(make_worker)), supervisor_(std::move(supervisor)) {}

 protected:
  caf::behavior make_behavior() override {
    try {
      worker_ = make_worker_();
    } catch (const std::exception&) {  // once more when there is work, which then says why
      this->probe().failures.add();
    }
    tell();
    return {[this](Start<Item, Value>& start) {
      const auto completion =
          std::make_shared<Completion<Value>>(std::move(start.supervisor), start.batch, start.tasks.size());
      try {
        if (!worker_) {
          worker_ = make_worker_();
          tell();
        }
        worker_->start(std::move(start.tasks), [completion](std::vector<Outcome<Value>> outcomes) {
          (*completion)(std::move(outcomes));
        });
      } catch (const std::exception& e) {  // CAF would end this actor
        this->probe().failures.add();
        worker_.reset();
        tell();
        completion->fail(e.what());
      }
    }};
  }

 private:
  /// Whether there is a worker.
  void tell() {
    if (const auto to = caf::actor_cast<caf::strong_actor_ptr>(supervisor_))
      this->send(caf::actor_cast<caf::actor>(to), Made{this->address(), worker_ != nullptr});
  }

  WorkerFactory<Item, Value> make_worker_;
  caf::actor_addr supervisor_;  // weak: it has us
  std::unique_ptr<Worker<Item, Value>> worker_;
};

/// What a supervisor does whatever the work is: steps the core, keeps a timer, replaces workers that died,
/// counts.
class SupervisorBase : public Metered<caf::event_based_actor> {
 public:
  SupervisorBase(caf::actor_config& config, KindProbe& own, const Policy& policy, std::uint64_t seed,
                 const Clock& clock, Probe& probe);

 protected:
  virtual caf::actor spawn_worker() = 0;
  virtual void start(const caf::actor& worker, const Batch& batch) = 0;
  virtual void settle(const Answer& answer) = 0;

  /// Spawns the workers; to be called once, by make_behavior().
  caf::message_handler begin();
  void on_exit() override;

  SteadyTime now() const { return clock_.steady(); }
  Core& core() { return core_; }
  Probe& counts() { return probe_; }
  /// Does what the core says; to be called after every change of it.
  void step();
  /// Tells the core how a batch of a key went, and does what it says.
  void report(std::uint64_t batch, const std::string& key, const std::vector<Report>& reports);
  caf::actor self() { return caf::actor_cast<caf::actor>(this); }

 private:
  void arm(SteadyTime now);
  void hand_out();
  void publish();
  void replace(const caf::actor_addr& worker);
  void made(const Made& made);
  void hire(std::size_t worker);
  void set_well(std::size_t worker, bool well);

  const Clock& clock_;
  Probe& probe_;
  const Policy policy_;
  Core core_;
  std::vector<caf::actor> workers_;
  std::vector<bool> well_;          // of each worker
  std::vector<SteadyTime> timers_;  // armed, the earliest last
  std::vector<std::function<void()>> drained_;
  Batch batch_;  // these two keep their memory
  std::vector<Answer> answers_;
};

template <class Item, class Value>
struct SupervisorParts {
  Policy policy;
  std::uint64_t seed;  ///< of the jitter of retries
  WorkerFactory<Item, Value> make_worker;
  const Clock& clock;
  KindProbe& workers;
  Probe& probe;
};

/// The supervisor of a pool: bounded queue in front of worker actors, see Core. Takes Offered from a Pool; a
/// derived class adds requests() of its own, which call take().
template <class Item, class Value>
class Supervisor : public SupervisorBase {
 public:
  using Parts = SupervisorParts<Item, Value>;
  using Offer = pool::Offer<Item, Value>;
  using OfferPtr = std::shared_ptr<Offer>;

  Supervisor(caf::actor_config& config, KindProbe& own, Parts parts)
      : SupervisorBase(config, own, parts.policy, parts.seed, parts.clock, parts.probe),
        parts_(std::move(parts)) {}

 protected:
  virtual caf::message_handler requests() { return {}; }
  void take(OfferPtr offer) {
    const auto& s = offer->submission();
    const auto offered =
        core().offer({s.id, s.key, s.weight, s.deadline, s.rate, s.key_batches, s.attempts}, now());
    switch (offered.admission) {
      case Admission::accepted:
        if (held_.size() <= index(offered.ticket)) held_.resize(index(offered.ticket) + 1);
        held_[index(offered.ticket)].first = std::move(offer);
        return step();
      case Admission::duplicate:
        counts().joined.add();
        return held_[index(offered.ticket)].joined.push_back(std::move(offer));
      case Admission::full:
        counts().shed.add();
        return offer->turn_away(Ending::refused);
      case Admission::draining:
        counts().given_back.add();
        return offer->turn_away(Ending::given_back);
    }
  }

  caf::behavior make_behavior() override {
    auto rare = begin();
    return requests()  // they are tried in this order, each by its name: the frequent ones first
        .or_else([this](Finished<Value>& done) { finished(done); },
                 [this](Offered<Item, Value>& offered) { take(std::move(offered.offer)); })
        .or_else(rare);
  }

  caf::actor spawn_worker() override {
    using OneWorker = WorkerActor<Item, Value>;
    if (parts_.policy.own_threads)
      return spawn<OneWorker, caf::monitored + caf::detached>(parts_.workers, parts_.make_worker, address());
    return spawn<OneWorker, caf::monitored>(parts_.workers, parts_.make_worker, address());
  }

  void start(const caf::actor& worker, const Batch& batch) override {
    typename Worker<Item, Value>::Tasks tasks;
    tasks.reserve(batch.members.size());
    for (const auto& member : batch.members)
      tasks.push_back({held_[index(member.ticket)].first->submission().item, member.attempt, member.expires});
    send(worker, Start<Item, Value>{batch.id, self(), std::move(tasks)});
  }

  void settle(const Answer& answer) override {
    auto held = std::exchange(held_[index(answer.ticket)], {});
    Settled<Value> settled{answer.ending, answer.attempts, answer.unknown, {}, {}};
    if (answer.ending == Ending::done)
      settled.value = std::move(held.value);
    else
      settled.error = error_of(answer.ending, held.error);
    for (const auto& joined : held.joined) joined->settle(settled);
    held.first->settle(std::move(settled));
  }

 private:
  struct Held {
    OfferPtr first;
    std::vector<OfferPtr> joined;
    std::optional<Value> value;
    Error error;  // of the last attempt that was not done
  };

  void finished(Finished<Value>& done) {
    reports_.clear();
    for (const auto& outcome : done.outcomes) reports_.push_back(outcome.report);
    const auto members = core().members(done.batch);
    if (members.empty()) return report(done.batch, {}, reports_);  // given up before, or its twin was first
    const auto first = held_[members.front()].first;  // its key is needed when it may be answered
    for (std::size_t i = 0; i < members.size(); ++i) {
      auto& held = held_[members[i]];
      held.value = std::move(done.outcomes[i].value);
      held.error = std::move(done.outcomes[i].error);
    }
    report(done.batch, first->submission().key, reports_);
  }

  Parts parts_;
  std::vector<Held> held_;       // by index of ticket
  std::vector<Report> reports_;  // keeps its memory
};

}  // namespace cx::pool
