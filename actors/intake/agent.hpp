#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cx/v1/event.pb.h"
#include "runtime/agents.hpp"
#include "runtime/clock.hpp"
#include "runtime/entity/router.hpp"
#include "runtime/services.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::intake {

/// Events by what became of them. One that a client sends again counts again.
struct IntakeProbe {
  Counter accepted, duplicates, rejected, put_off;
};

/// What an intake agent works with. Everything outlives the actor system.
struct AgentParts {
  const Router* entities;
  const Clock* clock;
  KindProbe* kind;
  IntakeProbe* events;
};

/// An actor that answers RawRequests with calls of this type, or with batches where it is unspecified. An
/// answer of success means that what was sent is durable: the events with their customers, what is wrong with
/// them as dead letters. A call is answered {"success":true}, a batch
///
///   {"success":true,"accepted":7,"duplicates":1,
///    "rejected":[{"index":3,"type":"invalid-event","detail":"...","pointer":"/batch/3/userId"}]}
///
/// Errors: those of Parser; of customers that cannot take it now "overloaded", "unavailable" and the like,
/// with Retry-After: the client sends all of it again, and what has a messageId is not taken twice. What a
/// customer refuses for good is a dead letter, too.
caf::actor spawn_intake_agent(caf::actor_system& system, AgentParts parts, v1::EventType type);

/// The agents of every kind of call, and what serves them.
class IntakeAgents {
 public:
  /// `each`: agents for each kind of call, each with at most `credit` calls at once, or a 32nd of
  /// it in batches.
  IntakeAgents(caf::actor_system& system, const AgentParts& parts, std::uint32_t each, std::uint32_t credit);

  /// As the contract's `raw` options name them. This object outlives `services`.
  void serve(Services& services) const;
  /// To be told to exit.
  const std::vector<caf::actor>& actors() const { return actors_; }
  /// Calls that are with an agent now.
  std::size_t under_way() const;

 private:
  struct Pool {
    std::string name;
    std::unique_ptr<AgentPool> agents;
  };
  std::vector<caf::actor> actors_;
  std::vector<Pool> pools_;
};

}  // namespace cx::intake
