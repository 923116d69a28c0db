#pragma once

#include <atomic>
#include <doctest/doctest.h>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <unistd.h>
#include <vector>

#include "cx/v1/journal.pb.h"
#include "runtime/address.hpp"
#include "runtime/entity/kind.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/projection/projector.hpp"
#include "runtime/random.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/queued_executor.hpp"

namespace cx::test {

/// A directory that is gone when this is.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    static std::atomic<int> made{0};
    path_ = std::filesystem::temp_directory_path() / fmt::format("cx-test-{}-{}", getpid(), ++made);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// A journal of every shard, on files in memory, to write made-up decisions to; and what it takes to project
/// them.
struct Log {
  Log() {
    auto opened = RocksJournal::open("/data", environment);
    REQUIRE(opened);
    journal = std::move(*opened);
    std::vector<std::uint32_t> shards(kShards);
    std::iota(shards.begin(), shards.end(), 0);
    for (auto& head : journal->open(shards, std::nullopt)) {
      REQUIRE(head);
      heads.push_back(*head);
    }
  }

  /// Writes a decision of the entity at `address` that led to `events`.
  void append(const std::string& address, std::vector<std::string> events) {
    const auto parsed = parse_address(address);
    REQUIRE(parsed);
    const auto shard = shard_of(parsed->tenant, parsed->key);
    v1::JournalRecord record;
    record.set_shard(shard);
    record.set_sequence(heads[shard].last + 1);
    record.set_entity(address);
    record.set_schema(1);
    record.set_now(environment.clock().unix_ms());
    for (auto& event : events) record.add_events(std::move(event));
    const Append append{shard, heads[shard].epoch, heads[shard].last++, {record.SerializeAsString()}, {}};
    REQUIRE(!journal->append({&append, 1}, true).front());
  }
  /// Projects what is new.
  void project(Projector& projector) {
    environment.set_clock().advance(1'000);
    projector.poll();
    executor.run();
    const auto status = projector.status().front();
    CHECK(status.lag_records == 0);
    CHECK(status.stuck.empty());
    CHECK(!status.error);
  }
  /// Forgets the older part of the log of some shards, of some all of it, as retention does: what was decided
  /// is folded into bases. All entities are of `kind`; answers how many records are gone.
  std::uint64_t forget_some(const EntityKind& kind, Random& random) {
    std::uint64_t gone = 0;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      const auto last = heads[shard].last;
      if (last == 0) continue;
      const auto upto = random.below(3) == 0 ? last : random.below(static_cast<std::uint32_t>(last + 1));
      if (upto == 0) continue;
      std::map<std::string, v1::Snapshot> bases;
      std::map<std::string, std::unique_ptr<Entity>> folds;
      REQUIRE(!journal->read(shard, 0, [&](std::uint64_t sequence, std::string_view bytes) {
        v1::JournalRecord record;
        if (sequence > upto || !record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
          return false;
        auto& entity = folds[record.entity()];
        if (!entity) entity = kind.make(record.entity());
        for (const auto& event : record.events()) CHECK(!entity->apply(1, event));
        auto& base = bases[record.entity()];
        base.set_entity(record.entity());
        base.set_sequence(sequence);
        base.set_schema(1);
        base.set_state(entity->save());
        return true;
      }));
      std::vector<Write> writes;
      for (const auto& [address, base] : bases)
        writes.push_back({Table::bases, address, base.SerializeAsString()});
      REQUIRE(!journal->truncate(shard, upto, writes));
      gone += upto;
    }
    return gone;
  }
  std::unique_ptr<Projector> projector(Projection& projection) {
    auto out = std::make_unique<Projector>(*journal, executor, environment.clock());
    out->add(projection);
    return out;
  }

  FaultEnvironment environment;
  QueuedExecutor executor;
  std::unique_ptr<Journal> journal;
  std::vector<Head> heads;
};

}  // namespace cx::test
