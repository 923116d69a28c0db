#include "providers/pool/actors.hpp"

#include <algorithm>
#include <spdlog/spdlog.h>

namespace cx::pool {

Error error_of(Ending ending, const Error& last) {
  const auto with_last = [&last](const std::string& what) {
    return last.detail.empty() ? what : what + " The last attempt: " + last.detail;
  };
  switch (ending) {
    case Ending::done:
      return {};
    case Ending::failed:
    case Ending::unknown:
      if (!last.type.empty()) return last;
      return {Code::unavailable, "no-outcome",
              "Nobody knows whether it was done: the attempt was not reported.", ""};
    case Ending::expired:
      return {Code::deadline_exceeded, "expired", with_last("It was not started before its deadline."), ""};
    case Ending::given_back:
      return {Code::unavailable, "draining", with_last("The pool is shutting down: try again later."), ""};
    case Ending::refused:
      return {Code::overloaded, "pool-full", "The queue is full: nothing was done, try again later.", ""};
  }
  return {};
}

SupervisorBase::SupervisorBase(caf::actor_config& config, KindProbe& own, const Policy& policy,
                               std::uint64_t seed, const Clock& clock, Probe& probe)
    : Metered(config, own), clock_(clock), probe_(probe), policy_(policy), core_(policy, Random(seed)) {}

caf::message_handler SupervisorBase::begin() {
  set_down_handler([this](const caf::down_msg& down) { replace(down.source); });
  workers_.resize(std::max<std::size_t>(1, policy_.workers));
  well_.resize(workers_.size());
  for (std::size_t i = 0; i < workers_.size(); ++i) hire(i);
  return {[this](const Tick&) {
            timers_.pop_back();  // they fire in their order
            step();
          },
          [this](const Adjust& adjust) {
            core_.adjust(adjust.key, adjust.rate, adjust.key_batches, now());
            step();
          },
          [this](const Made& made) { this->made(made); },
          [this](Drain& drain) {
            drained_.push_back(std::move(drain.done));
            core_.drain(now(), drain.serve);
            step();
          }};
}

void SupervisorBase::step() {
  const auto now = clock_.steady();
  while (core_.dispatch(now, batch_)) {
    if (batch_.hedge) {
      probe_.hedges.add();
    } else {
      probe_.items.record(batch_.weight);
      probe_.wait_ns.record(static_cast<std::uint64_t>((now - batch_.oldest).count()));
      for (const auto& member : batch_.members)
        if (member.attempt > 1) probe_.retries.add();
    }
    start(workers_[batch_.worker], batch_);
  }
  hand_out();
  arm(now);
  probe_.queued.store(core_.queued(), std::memory_order_relaxed);
  probe_.in_flight.store(core_.in_flight(), std::memory_order_relaxed);
  probe_.open_breakers.store(core_.open_breakers(), std::memory_order_relaxed);
  probe_.batch_limit.store(core_.batch_limit(), std::memory_order_relaxed);
  if (core_.draining() && core_.in_flight() + core_.queued() == 0)
    for (const auto& done : std::exchange(drained_, {})) done();
}

void SupervisorBase::report(std::uint64_t batch, const std::string& key, const std::vector<Report>& reports) {
  const auto busy = core_.busy();
  const auto won = core_.hedges_won();
  const auto count = [&] {
    probe_.busy_ns.add((core_.busy() - busy).count());
    probe_.hedges_won.add(static_cast<std::int64_t>(core_.hedges_won() - won));
  };
  if (policy_.breaker_failures == 0) {
    core_.finished(batch, reports, now());
    count();
    return step();
  }
  const auto before = core_.breaker(key);
  const auto opened = core_.opened();
  core_.finished(batch, reports, now());
  count();
  const auto after = core_.breaker(key);
  if (core_.opened() > opened && before == Breaker::closed)
    spdlog::warn("{}: {} keeps failing; its work waits, one try every {} ms", name(), key,
                 std::chrono::duration_cast<std::chrono::milliseconds>(policy_.breaker_pause).count());
  if (before != Breaker::closed && after == Breaker::closed) spdlog::info("{}: {} works again", name(), key);
  probe_.opened.add(static_cast<std::int64_t>(core_.opened() - opened));
  step();
}

void SupervisorBase::hand_out() {
  core_.take_answers(answers_);
  for (const auto& answer : answers_) {
    switch (answer.ending) {
      case Ending::done:
        probe_.done.add();
        break;
      case Ending::unknown:
        probe_.unknown.add();
        [[fallthrough]];
      case Ending::failed:
        probe_.failed.add();
        break;
      case Ending::expired:
        probe_.expired.add();
        break;
      case Ending::given_back:
        probe_.given_back.add();
        break;
      case Ending::refused:
        probe_.shed.add();
        break;
    }
    settle(answer);
  }
}

/// Timers cannot be taken back: one is armed only when it is to fire before those that are.
void SupervisorBase::arm(SteadyTime now) {
  const auto at = core_.wake();
  if (at == SteadyTime::max() || (!timers_.empty() && timers_.back() <= at)) return;
  timers_.push_back(at);
  delayed_send(this, std::max(at - now, Duration::zero()), Tick{});
}

void SupervisorBase::replace(const caf::actor_addr& worker) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].address() != worker) continue;
    core_.lost(i, now());
    hire(i);
    step();
  }
}

void SupervisorBase::hire(std::size_t worker) {
  core_.cold(worker);
  set_well(worker, false);
  workers_[worker] = spawn_worker();
}

void SupervisorBase::set_well(std::size_t worker, bool well) {
  if (well && !well_[worker]) probe_.warm.fetch_add(1, std::memory_order_relaxed);
  if (!well && well_[worker]) probe_.warm.fetch_sub(1, std::memory_order_relaxed);
  well_[worker] = well;
}

/// Work waits for a worker to be made, not for one to be made well: it is who says why that failed.
void SupervisorBase::made(const Made& made) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].address() != made.worker) continue;
    set_well(i, made.well);
    core_.warm(i);
    step();
  }
}

/// Nobody is left without an answer, whatever ended the actor.
void SupervisorBase::on_exit() {
  core_.drain(now());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    core_.lost(i, now());
    set_well(i, false);
    caf::anon_send_exit(workers_[i], caf::exit_reason::user_shutdown);
  }
  workers_.clear();
  hand_out();
  for (const auto& done : std::exchange(drained_, {})) done();
}

}  // namespace cx::pool
