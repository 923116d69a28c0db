#pragma once

#include <cstdint>
#include <string>

#include "cx/v1/cluster.pb.h"
#include "runtime/entity/request.hpp"

// Requests and answers as they travel between nodes. Only here are they serialised.

namespace cx::cluster {

/// The type of an error: the receiver does not serve the shard, or not in that epoch; nothing was done.
inline constexpr const char* kNotHere = "not-here";

/// Where a request is believed to belong.
struct Stamp {
  std::uint64_t epoch = 0;
  std::uint64_t table_version = 0;
  std::uint32_t remaining_ms = 0;  ///< of its time; 0 for no limit
};

/// A PeerFrame with a request, serialised. One without `kind` is a question to the node.
std::string request_frame(std::uint64_t id, const Request& request, const Stamp& stamp);

/// A request for an entity, to be served only if its shard is here; its deadline follows from what is left of
/// the time, at `unix_ms`. Besides the errors of route(): "wrong-shard", when the sender counts shards in
/// another way.
Result<Request> from_wire(const Kinds& kinds, const v1::PeerRequest& request, std::int64_t unix_ms);

/// A message of the contract: "unknown-message" for one that this release does not know, or other bytes.
Result<MessagePtr> message_from(const v1::TypedBytes& bytes);

/// A PeerFrame with an answer, serialised.
std::string reply_frame(std::uint64_t id, const Answer& answer, std::uint64_t table_version);
Answer from_wire(const v1::PeerReply& reply);

}  // namespace cx::cluster
