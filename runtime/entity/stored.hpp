#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/error.hpp"
#include "runtime/journal/journal.hpp"

namespace cx {

/// What a shard stores cannot be read: "corrupt".
Error unreadable(std::uint32_t shard, std::string_view what);

/// The last record of a shard that snapshots hold; 0 where none does. Blocks.
Result<std::uint64_t> checkpoint_of(const Journal& journal, std::uint32_t shard);

}  // namespace cx
