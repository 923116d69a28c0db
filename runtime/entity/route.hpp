#pragma once

#include <string_view>

#include "cx/v1/journal.pb.h"
#include "runtime/entity/request.hpp"

namespace cx {

/// The entity at `address`, with no command yet: "invalid-address" or "unknown-kind" where there can be none.
Result<Request> route(const Kinds& kinds, std::string_view address);

/// A command for the entity at `address`: besides, "unknown-command" where its kind does not take it.
Result<Request> route(const Kinds& kinds, std::string_view address, MessagePtr command);

/// The same with the command as bytes.
Result<Request> route(const Kinds& kinds, std::string_view address, const v1::TypedBytes& command);

/// The same for a message of an outbox, which may go to an endpoint, too: to `Request::endpoint` then.
Result<Request> route_letter(const Kinds& kinds, std::string_view address);
Result<Request> route_letter(const Kinds& kinds, std::string_view address, MessagePtr command);
Result<Request> route_letter(const Kinds& kinds, std::string_view address, const v1::TypedBytes& command);

/// "17-4711-0", the id of a letter.
std::string letter_name(std::uint32_t shard, std::uint64_t sequence, std::uint32_t index);

/// Where a dead letter of id "SHARD-SEQUENCE-INDEX" is kept.
struct DeadLetterPlace {
  std::uint32_t shard;
  std::string key;  ///< in Table::dead_letters
};
Result<DeadLetterPlace> parse_dead_letter(std::string_view id);

}  // namespace cx
