#pragma once

#include <cstdint>
#include <string_view>

#include "cx/v1/journal.pb.h"
#include "runtime/entity/kind.hpp"
#include "runtime/error.hpp"
#include "runtime/journal/journal.hpp"

namespace cx {

/// What a shard stores cannot be read: "corrupt".
Error unreadable(std::uint32_t shard, std::string_view what);

/// The last record of a shard that snapshots hold; 0 where none does. Blocks.
Result<std::uint64_t> checkpoint_of(const Journal& journal, std::uint32_t shard);

/// Messages by name, and back: null for an empty one, and for one that this build cannot read.
void set_typed(v1::TypedBytes& to, const Message& from);
MessagePtr read_typed(const v1::TypedBytes& from);

}  // namespace cx
