#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "runtime/entity/kind.hpp"

namespace cx {

/// A command on its way to an entity. Made by Entities::request, which checks it.
struct Request {
  std::string to;  ///< address
  std::uint32_t shard = 0;
  const EntityKind* kind = nullptr;
  const CommandType* type = nullptr;
  const Endpoint* endpoint = nullptr;  ///< instead of shard, kind and type, of a message to an endpoint
  MessagePtr command;

  // Of the sender's choice; see Context and v1::MessageId.
  std::string source;  ///< of the message's id; empty when it has none
  std::uint64_t sequence = 0;
  std::uint64_t settled = 0;
  /// Whether `source` names this command alone, as an idempotency key does: with another sequence it is
  /// refused.
  bool once = false;
  std::string actor;
  std::vector<std::string> roles;  ///< of the actor
  std::string trace;
  std::int64_t deadline = 0;  ///< Unix milliseconds; 0 for none
  /// Not to be passed on to another node: where the shard is not here, it is answered "not-here".
  bool here_only = false;
  /// Messages to be sent if, and only if, the command is accepted: committed with the decision.
  std::vector<Effects::Letter> along;
};

/// Whether a source is the outbox of a shard, "shard/17".
inline bool is_outbox(std::string_view source) {
  return source.starts_with("shard/");
}

/// A message to an endpoint, as its actor gets it.
struct Letter {
  std::string to;      ///< address: NAME/TENANT/KEY
  std::string from;    ///< address of the entity that sends it
  MessagePtr command;  ///< never null
  std::string id;      ///< "SHARD-SEQUENCE-INDEX": the same one whenever it comes again
};

/// What an entity answers; null for NoReply. Errors of the runtime: "overloaded" (nothing was done),
/// "unavailable" (nothing was done, or whether it was is unknown: retry with the same id),
/// "not-here" (see Request::here_only), "deadline-exceeded", "corrupt".
using Answer = Result<MessagePtr>;
using Respond = std::function<void(Answer)>;

}  // namespace cx
