#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <memory>
#include <string>
#include <vector>

#include "actors/bidding/catalog.hpp"
#include "actors/bidding/decide.hpp"
#include "messages/actors.hpp"
#include "runtime/clock.hpp"
#include "runtime/entity/router.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::bidding {

/// Bid requests by what became of them. A timeout is answered like a no-bid but is not one.
struct BidProbe {
  Counter bid, no_bid, timeout, invalid, failed;
};

/// What a bid agent works with. Everything outlives the actor system; the catalog and rules are shared and
/// immutable.
struct AgentParts {
  std::string tenant;  ///< whose catalog it is
  std::shared_ptr<const Catalog> catalog;
  std::shared_ptr<const Rules> rules;
  const Router* customers;
  InferencePool inference;
  const Clock* clock;
  KindProbe* kind;
  BidProbe* bids;
};

/// An actor that answers RawRequests: it parses the bid request, asks the customer, has the candidates
/// scored, prices and replies. It carries many conversations at once; each ends by its deadline (tmax less
/// the margin) at the latest, whatever the others do, and gives back the impressions that it reserved and did
/// not offer. What it bid for a customer it has recorded in the customer's log: v1::RecordDecisions.
caf::actor spawn_bid_agent(caf::actor_system& system, AgentParts parts);

}  // namespace cx::bidding
