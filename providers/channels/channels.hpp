#pragma once

#include <caf/actor.hpp>
#include <caf/fwd.hpp>
#include <cstdint>
#include <functional>
#include <memory>

#include "cx/v1/config.pb.h"
#include "providers/channels/accounts.hpp"
#include "providers/channels/http.hpp"
#include "providers/channels/probe.hpp"
#include "providers/pool/policy.hpp"
#include "runtime/clock.hpp"
#include "runtime/entity/router.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx::channels {

/// Addresses of letters to channels: "channel/<tenant>/<id of the account>"; they are v1::DispatchMessages.
inline constexpr char kEndpoint[] = "channel";

/// What the channels work with. Everything outlives the actor system.
struct ChannelParts {
  v1::ChannelsConfig config;
  const Router& customers;
  const Accounts& accounts;
  const Clock& clock;
  std::uint64_t seed;  ///< of the jitter of retries
  Metrics& metrics;
  Probe& probe;
  /// UTC, Unix microseconds; the system's when empty.
  std::function<std::int64_t()> now_us = {};
  std::string ca_file = {};  ///< see HttpClient
};

/// How channels use a pool: one message at a time, retries with the same id, also those of unknown outcome.
pool::Policy make_policy(const v1::ChannelsConfig& config);

/// Spawns the actor behind the endpoint: it takes letters (runtime/entity/messages.hpp), has each message
/// sent, tells its customer what became of it (SettleMessage) and then answers the letter. A letter that
/// cannot be taken now is answered "overloaded" or "unavailable"; the outbox brings it again. When the actor
/// is told to exit it ends all that it has spawned, and letters that have no answer come again when the node
/// is started. "invalid-private-host" when the configuration cannot be used.
Result<caf::actor> spawn_channels(caf::actor_system& system, ChannelParts parts);

/// Before a planned end, while customers can still be told: no letter is taken any more, those that wait are
/// answered "unavailable", and what is under way is finished. Then `done` is called, on the actor's thread.
void drain_channels(const caf::actor& channels, std::function<void()> done);

}  // namespace cx::channels
