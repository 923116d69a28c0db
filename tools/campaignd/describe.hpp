#pragma once

#include <cstdint>
#include <string>

#include "cx/v1/journal.pb.h"
#include "cx/v1/operations.pb.h"
#include "runtime/entity/history.hpp"
#include "runtime/entity/host.hpp"
#include "runtime/entity/request.hpp"

namespace cx {

// What the runtime knows, as operators are told.

/// "2026-11-21T10:00:00.000Z" from Unix milliseconds; years past 9999 are that year's end.
std::string to_rfc3339(std::int64_t unix_ms);
/// The reverse, of any RFC 3339 time. `field`, of the request, is named by the error.
Result<std::int64_t> from_rfc3339(const std::string& text, const std::string& field);

/// A message of the contract by its name; a TypedBytes of it where this build cannot read it.
google::protobuf::Any describe(const v1::TypedBytes& message);

/// `entity`: what route() gave for its address. The time is the caller's to set.
Result<v1::GetEntityReply> describe(const Request& entity, const v1::Snapshot& snapshot);
v1::GetEntityReply describe(const Request& entity, const Past& past);

v1::EntityRecord describe(const EntityKind& kind, const v1::JournalRecord& record);
v1::Shard describe(const ShardStatus& status);
v1::UndeliveredMessage describe(const v1::DeadLetter& letter);

}  // namespace cx
