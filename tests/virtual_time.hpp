#pragma once

#include <caf/actor_system.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <chrono>
#include <string>

#include "cx/v1/config.pb.h"
#include "runtime/clock.hpp"
#include "runtime/raw.hpp"
#include "runtime/system.hpp"

namespace cx::test {

/// A clock that moves only when told.
struct ManualClock final : Clock {
  std::int64_t ms = 1'700'000'000'000;
  SteadyTime steady_now{std::chrono::hours(1)};
  std::int64_t unix_ms() const override { return ms; }
  SteadyTime steady() const override { return steady_now; }
};

/// An actor system in which nothing happens but by run(), and no time passes but by advance().
struct VirtualTime {
  struct Config : SystemConfig {
    Config() : SystemConfig(limits()) { set("scheduler.policy", caf::atom("testing")); }
    static v1::ActorsConfig limits() {
      v1::ActorsConfig config;
      config.set_threads(1);
      config.set_throughput(10);
      return config;
    }
  };

  ManualClock clock;  // first: actors refer to it
  Config config;
  caf::actor_system system{config};

  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }
  /// Lets actors handle messages until none is left.
  void run() { scheduler().run(); }
  /// Lets time pass in steps of 100 us, so that timers fire in order and on time.
  void advance(std::chrono::nanoseconds by) {
    constexpr std::chrono::microseconds kStep{100};
    for (std::chrono::nanoseconds passed{0}; passed < by; passed += kStep) {
      clock.steady_now += kStep;
      sub_ms_ += kStep;
      clock.ms += sub_ms_ / std::chrono::milliseconds(1);
      sub_ms_ %= std::chrono::milliseconds(1);
      scheduler().advance_time(kStep);
      run();
    }
  }

 private:
  std::chrono::nanoseconds sub_ms_{0};
};

/// Where a test's request is answered to.
struct Answers {
  struct Sink final : ReplySink {
    explicit Sink(Answers& a) : answers(a) {}
    void deliver(RawReply reply) noexcept override { answers.all.push_back(std::move(reply)); }
    Answers& answers;
  };
  std::vector<RawReply> all;
  ReplyTo to() { return ReplyTo(std::make_shared<Sink>(*this)); }
};

}  // namespace cx::test
