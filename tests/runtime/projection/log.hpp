#pragma once

#include <atomic>
#include <doctest/doctest.h>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <numeric>
#include <string>
#include <unistd.h>
#include <vector>

#include "cx/v1/journal.pb.h"
#include "runtime/address.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/projection/projector.hpp"
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
