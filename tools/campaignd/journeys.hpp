#pragma once

#include <caf/fwd.hpp>
#include <chrono>
#include <memory>

#include "actors/customer/customer.hpp"
#include "cx/v1/config.pb.h"
#include "providers/pool/work.hpp"
#include "runtime/catalog/catalog.hpp"
#include "runtime/entity/entities.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/projection/projector.hpp"
#include "runtime/services.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx {

/// What turns events into messages: customers and what they are told of the catalog, journeys and who has
/// them follow their stage, the agents that take events and the channels that messages leave by, and the
/// lists that are projected of all this. In the order of a start: open(), add_kinds(), start(), serve();
/// tick() about once a second; stop() before what is referred to goes.
class Journeys {
 public:
  struct Parts {
    const v1::NodeConfig& config;
    Environment& environment;
    Catalog& catalog;  ///< before its first edit: gets the kinds of documents
    Journal& journal;
    Executor& executor;  ///< runs what reads files; not the one on which the catalog runs its watches
    Metrics& metrics;
  };
  /// Reads what the catalog has, so it blocks. All that is referred to outlives this, and this outlives the
  /// actor system. "invalid-private-host" names what is wrong in the configuration.
  static Result<std::unique_ptr<Journeys>> open(const Parts& parts);
  ~Journeys();

  /// Adds customers, journeys, the intake and the channels' endpoint. `profiles` and `seed`: see Customer.
  void add_kinds(Kinds& kinds, Customer::Profiles profiles, std::uint64_t seed);
  /// Spawns the agents and the channels, which send what waits from now on. `entities` run.
  std::optional<Error> start(caf::actor_system& system, Entities& entities);
  /// Serves its methods, but for those of entities that name a target and of documents.
  void serve(const Entities& entities, Services& services);
  /// As of Management.
  void follow(std::uint32_t shard);
  std::uint64_t retain_after(std::uint32_t shard) const;
  void tick();
  /// Before a planned end: finishes the messages that are being sent, so that they are not sent again; waits
  /// for that `patience` at most.
  void drain(std::chrono::milliseconds patience);
  /// Takes no more events and sends no more messages: what is under way comes again at the next start.
  void stop();

  /// Of the channels' pool, for pool::add_metrics.
  const pool::Probe& channels() const;

 private:
  struct State;
  explicit Journeys(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cx
