// The faulty files and the faulty network do what the tests that stand on them rely on.

#include <algorithm>
#include <doctest/doctest.h>
#include <set>

#include "tests/faults/fault_environment.hpp"

namespace cx::test {
namespace {

using Operation = FaultFiles::Operation;
using File = std::unique_ptr<rocksdb::FSWritableFile>;

File create(FaultFiles& files, const std::string& path) {
  File file;
  REQUIRE(files.NewWritableFile(path, {}, &file, nullptr).ok());
  return file;
}

bool append(File& file, const std::string& bytes) {
  return file->Append(bytes, {}, nullptr).ok();
}
bool sync(File& file) {
  return file->Sync({}, nullptr).ok();
}

bool sync_directory(FaultFiles& files, const std::string& path) {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  REQUIRE(files.NewDirectory(path, {}, &directory, nullptr).ok());
  return directory->Fsync({}, nullptr).ok();
}

void cycle_power(FaultFiles& files, std::uint64_t seed = 0) {
  files.lose_power();
  files.restore_power(seed);
}

bool exists(FaultFiles& files, const std::string& path) {
  return files.FileExists(path, {}, nullptr).ok();
}

/// With a directory /d that is there for good.
struct Disk {
  FaultFiles files{memory_files()};
  Disk() {
    REQUIRE(files.CreateDir("/d", {}, nullptr).ok());
    REQUIRE(sync_directory(files, "/"));
  }
};

}  // namespace

TEST_CASE("a loss of power forgets what was not synced") {
  Disk disk;
  auto& files = disk.files;
  File file = create(files, "/d/f");
  CHECK(append(file, "durable"));
  CHECK(sync(file));
  CHECK(sync_directory(files, "/d"));
  CHECK(append(file, " and not"));
  files.lose_power();
  CHECK_FALSE(append(file, "x"));
  CHECK_FALSE(sync(file));
  File other;
  CHECK_FALSE(files.NewWritableFile("/d/g", {}, &other, nullptr).ok());
  files.restore_power();
  CHECK_FALSE(append(file, "x"));  // a handle from before
  CHECK(content(files, "/d/f") == "durable");
  CHECK(files.ReopenWritableFile("/d/f", {}, &other, nullptr).ok());
  CHECK(append(other, "!"));
  cycle_power(files);
  CHECK(content(files, "/d/f") == "durable");
}

TEST_CASE("a cache that was being written back leaves a part of what was not synced") {
  std::set<std::size_t> sizes;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Disk disk;
    File file = create(disk.files, "/d/f");
    CHECK(append(file, "1234"));
    CHECK(sync(file));
    CHECK(sync_directory(disk.files, "/d"));
    CHECK(append(file, "5678"));
    cycle_power(disk.files, seed);
    const std::string kept = content(disk.files, "/d/f");
    CHECK(std::string("12345678").starts_with(kept));
    sizes.insert(kept.size());
  }
  CHECK(sizes == std::set<std::size_t>{4, 5, 6, 7, 8});
}

TEST_CASE("names last when their directory is synced, and that of the directory when its parent is") {
  Disk disk;
  auto& files = disk.files;
  const auto synced_file = [&](const std::string& path, const std::string& bytes) {
    File file = create(files, path);
    CHECK(append(file, bytes));
    CHECK(sync(file));
  };
  synced_file("/d/old", "old");
  CHECK(sync_directory(files, "/d"));
  synced_file("/d/new", "new");
  REQUIRE(files.CreateDir("/e", {}, nullptr).ok());
  synced_file("/e/f", "f");
  CHECK(sync_directory(files, "/e"));
  cycle_power(files);
  CHECK(content(files, "/d/old") == "old");
  CHECK_FALSE(exists(files, "/d/new"));
  CHECK_FALSE(exists(files, "/e/f"));

  synced_file("/d/new", "new");
  REQUIRE(files.RenameFile("/d/new", "/d/old", {}, nullptr).ok());
  cycle_power(files);
  CHECK(content(files, "/d/old") == "old");
  synced_file("/d/new", "new");
  REQUIRE(files.RenameFile("/d/new", "/d/old", {}, nullptr).ok());
  CHECK(sync_directory(files, "/d"));
  cycle_power(files);
  CHECK(content(files, "/d/old") == "new");
  CHECK_FALSE(exists(files, "/d/new"));
}

TEST_CASE("a deleted file may come back until its directory is synced") {
  std::set<bool> back;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Disk disk;
    File file = create(disk.files, "/d/f");
    CHECK(append(file, "x"));
    CHECK(sync(file));
    CHECK(sync_directory(disk.files, "/d"));
    REQUIRE(disk.files.DeleteFile("/d/f", {}, nullptr).ok());
    if (seed > 10) CHECK(sync_directory(disk.files, "/d"));
    cycle_power(disk.files, seed);
    if (seed > 10)
      CHECK_FALSE(exists(disk.files, "/d/f"));
    else
      back.insert(content(disk.files, "/d/f") == "x");
  }
  CHECK(back.size() == 2);
}

TEST_CASE("a failed sync is not made up for by the next") {
  Disk disk;
  auto& files = disk.files;
  File file = create(files, "/d/f");
  CHECK(sync_directory(files, "/d"));
  CHECK(append(file, "x"));
  files.fail({.operation = Operation::sync});
  CHECK_FALSE(sync(file));
  CHECK(sync(file));
  cycle_power(files);
  CHECK(content(files, "/d/f").empty());
}

TEST_CASE("faults come when they were asked for, and where") {
  Disk disk;
  auto& files = disk.files;
  File log = create(files, "/d/1.log"), other = create(files, "/d/1.sst");
  files.fail({.operation = Operation::write, .skip = 1, .keep = 2, .suffix = ".log"});
  CHECK(append(other, "a"));
  CHECK(append(log, "a"));
  CHECK(append(other, "b"));
  CHECK_FALSE(append(log, "bcd"));
  CHECK(content(files, "/d/1.log") == "abc");
  CHECK(append(log, "d"));
  CHECK(files.count(Operation::write) == 5);
  CHECK(files.count(Operation::write, ".log") == 3);

  files.fail({.operation = Operation::write, .failure = FaultFiles::Failure::no_space, .stays = true});
  for (int i = 0; i < 3; ++i) CHECK(log->Append("e", {}, nullptr).IsNoSpace());
  files.heal();
  CHECK(append(log, "e"));

  std::string synced;
  files.on_sync([&](const std::string& path) { synced = path; });
  CHECK(sync(log));
  CHECK(synced == "/d/1.log");
  files.lie_about_syncs(true);
  CHECK(sync(other));
  CHECK(sync_directory(files, "/d"));
  cycle_power(files);
  CHECK_FALSE(exists(files, "/d/1.sst"));
}

TEST_CASE("a network loses, doubles and delays messages as its chances say, the same way for the same seed") {
  const auto run = [](std::uint64_t seed, FaultEnvironment::Network network) {
    FaultEnvironment environment(seed);
    environment.network(network);
    std::vector<int> delivered;
    for (int i = 0; i < 100; ++i) environment.carry(0, 1, [&delivered, i] { delivered.push_back(i); });
    const std::size_t at_once = delivered.size();
    const std::size_t released = environment.release();
    CHECK(delivered.size() == at_once + released);
    CHECK(environment.release() == 0);
    return delivered;
  };
  std::vector<int> all;
  for (int i = 0; i < 100; ++i) all.push_back(i);
  CHECK(run(1, {}) == all);
  CHECK(run(1, {.lose = 1}).empty());
  CHECK(run(1, {.twice = 1}).size() == 200);
  auto delayed = run(1, {.delay = 1});
  CHECK(delayed != all);
  std::sort(delayed.begin(), delayed.end());
  CHECK(delayed == all);
  const FaultEnvironment::Network everything{.lose = 0.3, .twice = 0.3, .delay = 0.5};
  CHECK(run(7, everything) == run(7, everything));
  CHECK(run(7, everything) != run(8, everything));
}

TEST_CASE("time is what the test says") {
  FaultEnvironment environment;
  environment.set_clock().set(5'000);
  const auto before = environment.clock().steady();
  environment.set_clock().advance(250);
  CHECK(environment.clock().unix_ms() == 5'250);
  CHECK(environment.clock().steady() - before == std::chrono::milliseconds(250));
}

}  // namespace cx::test
