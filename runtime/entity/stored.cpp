#include "runtime/entity/stored.hpp"

#include <charconv>
#include <fmt/format.h>

namespace cx {

Error unreadable(std::uint32_t shard, std::string_view what) {
  return {Code::internal, "corrupt",
          fmt::format("{} of shard {} is not what was written. Restore the data directory from a backup.",
                      what, shard),
          ""};
}

Result<std::uint64_t> checkpoint_of(const Journal& journal, std::uint32_t shard) {
  const RowKey key{shard, "checkpoint"};
  const auto row = std::move(journal.get(Table::meta, {&key, 1}).front());
  if (!row) return row.error();
  std::uint64_t checkpoint = 0;
  if (const auto& text = *row) std::from_chars(text->data(), text->data() + text->size(), checkpoint);
  return checkpoint;
}

}  // namespace cx
