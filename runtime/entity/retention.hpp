#pragma once

#include <cstdint>

#include "runtime/entity/kind.hpp"
#include "runtime/journal/journal.hpp"

namespace cx {

/// How much of a log may go.
struct Cut {
  std::int64_t before;           ///< records older than this, Unix milliseconds
  std::uint64_t upto;            ///< none after this sequence, for somebody still has to read them
  std::size_t records = 50'000;  ///< at most so many at a time
};

/// Forgets the oldest records of a shard, after writing down what its entities were like at the end of them
/// (Table::bases). Never those after the shard's checkpoint, nor those of a kind that this build does not
/// know. Blocks. The number of records that are gone.
Result<std::uint64_t> truncate_shard(Journal& journal, const Kinds& kinds, std::uint32_t shard,
                                     const Cut& cut);

}  // namespace cx
