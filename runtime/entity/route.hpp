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

/// Where a dead letter of id "SHARD-SEQUENCE-INDEX" is kept.
struct DeadLetterPlace {
  std::uint32_t shard;
  std::string key;  ///< in Table::dead_letters
};
Result<DeadLetterPlace> parse_dead_letter(std::string_view id);

}  // namespace cx
