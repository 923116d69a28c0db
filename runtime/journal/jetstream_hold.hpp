#pragma once

#include <algorithm>
#include <set>
#include <utility>

#include "runtime/journal/jetstream_journal.hpp"

namespace cx {

/// The right to write to some shards: one call at a time has a shard.
class JetStreamJournal::Hold {
 public:
  Hold(JetStreamJournal& journal, std::set<std::uint32_t> shards)
      : journal_(journal), shards_(std::move(shards)) {
    std::unique_lock lock(journal_.mutex_);
    journal_.free_.wait(lock, [&] {
      return std::ranges::none_of(shards_, [&](std::uint32_t shard) { return journal_.held_.at(shard); });
    });
    for (const std::uint32_t shard : shards_) journal_.held_[shard] = true;
  }
  ~Hold() {
    const std::lock_guard lock(journal_.mutex_);
    for (const std::uint32_t shard : shards_) journal_.held_[shard] = false;
    journal_.free_.notify_all();
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  JetStreamJournal& journal_;
  const std::set<std::uint32_t> shards_;
};

}  // namespace cx
