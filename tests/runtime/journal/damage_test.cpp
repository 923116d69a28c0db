// Torn writes and flipped bytes: the first are dropped, the second refused.

#include <doctest/doctest.h>

#include "runtime/journal/wal.hpp"
#include "tests/runtime/journal/homes.hpp"

namespace cx::test {
namespace {

/// A closed journal with records in shard 1, one group each, and where in the newest write-ahead log each
/// group ends.
struct Logged {
  explicit Logged(const std::vector<std::size_t>& sizes) {
    Head head = open_one(home.journal(), 1);
    for (const std::size_t size : sizes) {
      ends.push_back(content(home.disk(), home.wal()).size());
      records.emplace_back(head.last + 1, std::string(size, static_cast<char>('a' + records.size() % 26)));
      REQUIRE(append_one(home.journal(), append_of(1, head, {records.back().second})) == "");
      ++head.last;
    }
    ends.push_back(content(home.disk(), home.wal()).size());
    wal = home.wal();
    home.close();
    whole = content(home.disk(), wal);
  }
  /// Opens what a copy of the files has become by `damage`; the home is left as it was.
  template <class Damage>
  std::string open_after(const Damage& damage, Records* found = nullptr) {
    RocksHome copy(memory_files(), "/other");
    copy.close();
    auto& disk = copy.disk();
    for (const auto& name : names(disk, copy.path(), ""))
      disk.DeleteFile(copy.path() + "/" + name, {}, nullptr);
    for (const auto& name : names(home.disk(), home.path(), "")) {
      if (name == "LOCK" || name.starts_with("LOG")) continue;
      REQUIRE(rocksdb::WriteStringToFile(&disk, content(home.disk(), home.path() + "/" + name),
                                         copy.path() + "/" + name)
                  .ok());
    }
    damage(disk, copy.path() + wal.substr(wal.rfind('/')));
    const auto error = copy.try_reopen();
    if (error) {
      CHECK(error->detail.find("/other/journal") != std::string::npos);
      CHECK(error->detail.find("restore the directory from a backup") != std::string::npos);
    } else if (found) {
      *found = records_of(copy.journal(), 1);
    }
    return type_of(error);
  }
  Records first(std::size_t n) const {
    return {records.begin(), records.begin() + static_cast<std::ptrdiff_t>(n)};
  }

  RocksHome home{memory_files(), "/data"};
  Records records;
  std::vector<std::size_t> ends;  // one more than records: before the first, too
  std::string wal, whole;
};

}  // namespace

TEST_CASE("a write-ahead log that ends anywhere gives back the groups that are whole") {
  Logged logged({100, 40'000, 1, 200, 70'000, 50});
  for (std::size_t group = 0; group < logged.records.size(); ++group) {
    const std::size_t from = logged.ends[group], to = logged.ends[group + 1];
    for (std::size_t size : {from, from + 1, from + 6, from + 7, from + 8, (from + to) / 2, to - 1}) {
      CAPTURE(size);
      Records found;
      CHECK(logged.open_after([&](auto& disk, const auto& wal) { cut(disk, wal, size); }, &found) == "");
      CHECK(found == logged.first(group));
    }
  }
}

TEST_CASE("a flipped byte in a write-ahead log is refused, wherever it is") {
  Logged logged({100, 300, 40'000, 20, 200});
  const auto damaged = [&](std::size_t offset, std::uint8_t mask) {
    CAPTURE(offset);
    Records found;
    const auto type =
        logged.open_after([&](auto& disk, const auto& wal) { flip_byte(disk, wal, offset, mask); }, &found);
    // Zeros that fill a block up before the next one are never read.
    if (type.empty()) CHECK(found == logged.records);
    return type == "corrupt";
  };
  std::size_t refused = 0, tried = 0;
  for (std::size_t group = 0; group < logged.records.size(); ++group) {
    for (std::size_t i = 0; i < 12; ++i, ++tried) refused += damaged(logged.ends[group] + i, 0xff);
    // Lengths, up and down a little and a lot.
    for (const std::uint8_t mask : {0x01, 0x80})
      for (const std::size_t i : {4, 5}) refused += damaged(logged.ends[group] + i, mask), ++tried;
    refused += damaged(logged.ends[group + 1] - 1, 0x10), ++tried;
  }
  CHECK(refused == tried);
}

TEST_CASE("a torn end is told from damage") {
  Logged logged({100, 300, 40'000, 20, 200});
  auto& disk = logged.home.disk();
  const auto damage = [&] {
    const auto found = find_wal_damage(logged.home.path(), logged.home.environment().files());
    REQUIRE(found);
    return *found;
  };
  CHECK_FALSE(damage());
  for (std::size_t group = 0; group < logged.records.size(); ++group) {
    cut(disk, logged.wal, logged.ends[group + 1] - 1);
    REQUIRE(damage());
    CHECK(damage()->torn_end);
    CHECK(damage()->file == logged.wal);
    CHECK(damage()->at >= logged.ends[group]);
    // Another log may follow that holds nothing, or goes on where this one ends; nothing else.
    const std::string next = logged.home.path() + "/999999.log";
    const auto follow = [&](const std::string& bytes) {
      REQUIRE(rocksdb::WriteStringToFile(&disk, bytes, next).ok());
    };
    follow("");
    CHECK(damage()->torn_end);
    follow("torn");
    CHECK(damage()->torn_end);
    follow(logged.whole);
    CHECK(damage()->torn_end == (group == 0 && logged.ends[0] == 0));
    if (logged.ends[group + 1] < 1'000) {  // a record that is not in fragments may be moved
      follow(logged.whole.substr(logged.ends[group], logged.ends[group + 1] - logged.ends[group]));
      CHECK(damage()->torn_end);
    }
    disk.DeleteFile(next, {}, nullptr);
    REQUIRE(rocksdb::WriteStringToFile(&disk, logged.whole, logged.wal).ok());
  }
  flip_byte(disk, logged.wal, logged.ends[1]);
  CHECK(damage()->at == logged.ends[1]);
  CHECK_FALSE(damage()->torn_end);
}

TEST_CASE("torn ends may come one after the other") {
  MemoryHome home;
  Head head = open_one(home.journal(), 1);
  Records all;
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < round % 4; ++i) {
      all.emplace_back(head.last + 1, "r" + std::to_string(head.last));
      CHECK(append_one(home.journal(), append_of(1, head, {all.back().second})) == "");
      ++head.last;
    }
    home.disk().fail({.operation = FaultFiles::Operation::write, .keep = 20, .suffix = ".log"});
    CHECK(append_one(home.journal(), append_of(1, head, {"torn"})) == "storage-failed");
    if (round % 3 == 0) home.reopen();
    head = open_one(home.journal(), 1);
    CHECK(records_of(home.journal(), 1) == all);
  }
}

TEST_CASE("a flipped byte in a table file is refused when it is read, and named") {
  MemoryHome home;
  Head head = open_one(home.journal(), 1);
  std::vector<Write> rows;
  for (int i = 0; i < 200; ++i)
    rows.push_back({Table::snapshots, "e" + std::to_string(i), std::string(300, 's')});
  CHECK(append_one(home.journal(), append_of(1, head, {std::string(20'000, 'r'), "2", "3"}, rows)) == "");
  home.reopen();  // moves everything from the write-ahead log to table files
  home.close();
  for (const auto& name : names(home.disk(), home.path(), ".sst")) {
    const std::string path = home.path() + "/" + name;
    const std::string whole = content(home.disk(), path);
    for (std::size_t offset = 0; offset < whole.size(); offset += whole.size() / 12 + 1) {
      CAPTURE(name);
      CAPTURE(offset);
      flip_byte(home.disk(), path, offset);
      auto error = home.try_reopen();
      if (!error) {
        const auto ignore = [](auto, auto) { return true; };
        std::vector<std::optional<Error>> errors = {home.journal().read(1, 0, ignore)};
        for (std::size_t table = 0; table < kTables; ++table)
          errors.push_back(home.journal().scan(static_cast<Table>(table), 1, "", ignore));
        for (const auto& found : errors)
          if (found) error = found;
        if (!error) {  // bytes that nobody reads, such as names of properties
          CHECK(records_of(home.journal(), 1).size() == 3);
          CHECK(rows_of(home.journal(), Table::snapshots, 1).size() == 200);
        }
      }
      if (error) CHECK(error->type == "corrupt");
      home.close();
      REQUIRE(rocksdb::WriteStringToFile(&home.disk(), whole, path).ok());
    }
  }
}

TEST_CASE("a value that is not the one that was put is refused, though RocksDB finds nothing wrong") {
  MemoryHome home;
  const Head head = open_one(home.journal(), 1);
  CHECK(append_one(home.journal(), append_of(1, head, {"one", "two", "three"},
                                             {{Table::snapshots, "customer/acme/c-1", "state"},
                                              {Table::meta, "m", "v"}})) == "");
  home.close();
  // Somebody else writes into the directory.
  const auto overwrite = [&](const std::string& family, const std::string& key, const std::string& value) {
    std::vector<RocksFamily> families;
    for (const char* name :
         {"snapshots", "bases", "reminders", "outbox", "dead_letters", "meta", "log", "heads"})
      families.push_back({name, {}});
    auto files = open_rocks(home.path(), families, home.environment().files());
    REQUIRE(files);
    for (auto* handle : files->families)
      if (handle->GetName() == family) REQUIRE(files->db->Put({}, handle, key, value).ok());
  };
  const std::string shard("\0\1", 2), eight(8, 'x');
  overwrite("log", shard + std::string("\0\0\0\0\0\0\0\2", 8), eight + "two");
  overwrite("snapshots", shard + "customer/acme/c-1", eight + "state");
  overwrite("meta", shard + "m", "short");
  home.reopen();
  const auto error = home.journal().read(1, 0, [](auto, auto) { return true; });
  REQUIRE(error);
  CHECK(error->type == "corrupt");
  CHECK(error->detail.find("record 2 of shard 1 fails its checksum") != std::string::npos);
  CHECK(records_of(home.journal(), 1, 2) == Records{{3, "three"}});
  const RowKey key{1, "customer/acme/c-1"};
  const auto row = home.journal().get(Table::snapshots, std::span(&key, 1));
  REQUIRE_FALSE(row[0]);
  CHECK(row[0].error().detail.find("row customer/acme/c-1 of shard 1 in snapshots fails its checksum") !=
        std::string::npos);
  CHECK(type_of(home.journal().scan(Table::meta, 1, "", [](auto, auto) { return true; })) == "corrupt");
  home.close();
  overwrite("heads", shard, eight + std::string(16, '\0'));
  CHECK(type_of(home.try_reopen()) == "corrupt");
}

TEST_CASE("a record that is missing is noticed") {
  MemoryHome home;
  const Head head = open_one(home.journal(), 1);
  CHECK(append_one(home.journal(), append_of(1, head, {"one", "two", "three"})) == "");
  home.close();
  {
    const RocksFamily families[] = {{"snapshots", {}},    {"bases", {}}, {"reminders", {}}, {"outbox", {}},
                                    {"dead_letters", {}}, {"meta", {}},  {"log", {}},       {"heads", {}}};
    auto files = open_rocks(home.path(), families, home.environment().files());
    REQUIRE(files);
    REQUIRE(files->db->Delete({}, files->families[6], std::string("\0\1\0\0\0\0\0\0\0\2", 10)).ok());
  }
  home.reopen();
  const auto error = home.journal().read(1, 0, [](auto, auto) { return true; });
  REQUIRE(error);
  CHECK(error->detail.find("record 2 of shard 1 is missing") != std::string::npos);
}

}  // namespace cx::test
