#pragma once

#include <doctest/doctest.h>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/journal/rocks_journal.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/runtime/journal/jetstream_home.hpp"

namespace cx::test {

// A home of the journal, for the contract suite: made empty, and closed and opened again by reopen(). Another
// home is another class here and another name in JOURNAL_HOMES.

/// RocksDB on an environment of which the test may ask anything.
class RocksHome {
 public:
  explicit RocksHome(std::shared_ptr<rocksdb::FileSystem> base = memory_files(),
                     std::string directory = "/data", std::uint64_t seed = 1)
      : environment_(seed, std::move(base)), directory_(std::move(directory)) {
    reopen();
  }

  Journal& journal() { return *journal_; }
  void close() { journal_.reset(); }
  void reopen() {
    auto error = try_reopen();
    const std::string detail = error ? error->detail : "";
    REQUIRE(detail == "");
  }
  std::optional<Error> try_reopen() {
    journal_.reset();
    auto journal = RocksJournal::open(directory_, environment_);
    if (!journal) return journal.error();
    journal_ = std::move(*journal);
    return std::nullopt;
  }

  FaultEnvironment& environment() { return environment_; }
  FaultFiles& disk() { return environment_.disk(); }
  const std::string& directory() const { return directory_; }
  std::string path() const { return directory_ + "/journal"; }
  /// The newest write-ahead log.
  std::string wal() { return path() + "/" + names(disk(), path(), ".log").back(); }

 private:
  FaultEnvironment environment_;
  const std::string directory_;
  std::unique_ptr<Journal> journal_;
};

struct MemoryHome : RocksHome {
  static constexpr int kExamples = 100;  // of a property: as many as take seconds
};

/// A directory that is gone with it.
struct TempDirectory {
  TempDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cx-journal-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    location = pattern;
  }
  ~TempDirectory() { std::filesystem::remove_all(location); }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  std::string location;
};

struct DiskHome : TempDirectory, RocksHome {
  DiskHome() : RocksHome(rocksdb::FileSystem::Default(), location + "/data") {}
  static constexpr int kExamples = 10;
};

#define JOURNAL_HOMES MemoryHome, DiskHome, JetStreamHome, ColdJetStreamHome

// What the tests say often.

inline Append append_of(std::uint32_t shard, const Head& head, std::vector<std::string> records,
                        std::vector<Write> writes = {}) {
  return {shard, head.epoch, head.last, std::move(records), std::move(writes)};
}

/// "" for success.
inline std::string type_of(const std::optional<Error>& error) {
  return error ? error->type : "";
}
template <class T>
std::string type_of(const Result<T>& result) {
  return result ? "" : result.error().type;
}

inline std::string append_one(Journal& journal, const Append& append, bool sync = true) {
  return type_of(journal.append(std::span(&append, 1), sync)[0]);
}

inline Head open_one(Journal& journal, std::uint32_t shard,
                     std::optional<std::uint64_t> epoch = std::nullopt) {
  auto results = journal.open(std::span(&shard, 1), epoch);
  REQUIRE(results.size() == 1);
  REQUIRE(type_of(results[0]) == "");
  return *results[0];
}

using Records = std::vector<std::pair<std::uint64_t, std::string>>;

inline Records records_of(const Journal& journal, std::uint32_t shard, std::uint64_t after = 0) {
  Records records;
  const auto error = journal.read(shard, after, [&](std::uint64_t sequence, std::string_view record) {
    records.emplace_back(sequence, record);
    return true;
  });
  REQUIRE(type_of(error) == "");
  return records;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

inline Rows rows_of(const Journal& journal, Table table, std::uint32_t shard, std::string_view from = "") {
  Rows rows;
  const auto error = journal.scan(table, shard, from, [&](std::string_view key, std::string_view value) {
    rows.emplace_back(key, value);
    return true;
  });
  REQUIRE(type_of(error) == "");
  return rows;
}

inline std::optional<std::string> row_of(const Journal& journal, Table table, std::uint32_t shard,
                                         std::string_view key) {
  const RowKey row{shard, key};
  auto values = journal.get(table, std::span(&row, 1));
  REQUIRE(values.size() == 1);
  REQUIRE(type_of(values[0]) == "");
  return *values[0];
}

}  // namespace cx::test
