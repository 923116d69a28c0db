#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <memory>
#include <string>

#include "providers/channels/message.hpp"
#include "runtime/clock.hpp"
#include "runtime/entity/router.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::channels {

/// A message on its way out.
struct Dispatch {
  std::string tenant, via;  ///< the account's id
  std::string customer;     ///< address
  std::string message_id;
};

/// What senders work with. Everything outlives the actor system, but for the client.
struct SenderParts {
  const Router* customers;
  const Accounts* accounts;
  std::shared_ptr<HttpClient> http;
  const Clock* clock;
  KindProbe* kind;
};

/// An actor that makes attempts: it asks the customer whether the message may leave (every time anew),
/// renders it, posts it and judges the answer. It has many under way.
caf::actor spawn_sender(caf::actor_system& system, SenderParts parts);

/// A pool's worker that hands attempts to `senders`, in turn.
std::unique_ptr<pool::Worker<Dispatch, Fate>> make_worker(std::vector<caf::actor> senders);

}  // namespace cx::channels
