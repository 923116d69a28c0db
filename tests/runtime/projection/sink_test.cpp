#include <doctest/doctest.h>

#include "tests/runtime/projection/tally.hpp"

namespace cx {
namespace {

v1::JournalRecord record(const std::string& entity) {
  v1::JournalRecord out;
  out.set_entity(entity);
  return out;
}

}  // namespace

TEST_CASE("effects and cursors are committed together, and taken back together") {
  test::FaultEnvironment environment;
  test::RocksTally rocks(environment);
  test::SqliteTally sqlite;
  for (test::Tally* tally : {static_cast<test::Tally*>(&rocks), static_cast<test::Tally*>(&sqlite)}) {
    const auto a = record("a"), b = record("b");
    const CursorMove move{1023, 5'000'000'000};
    CHECK(!tally->sink().load()->version);
    REQUIRE(!tally->sink().reset(3));
    REQUIRE(!tally->sink().begin());
    REQUIRE(!tally->project({&a, 1}));
    REQUIRE(!tally->project({&a, 1}));  // sees its own effects
    REQUIRE(!tally->sink().commit({&move, 1}));
    REQUIRE(!tally->sink().begin());
    REQUIRE(!tally->project({&b, 1}));
    tally->sink().rollback();
    tally->sink().rollback();  // does no harm
    REQUIRE(!tally->sink().sync());
    CHECK(tally->rows() == std::map<std::string, std::int64_t>{{"a", 2}});
    tally->reopen();
    auto position = tally->sink().load();
    REQUIRE(position);
    CHECK(position->version == 3);
    CHECK(position->cursors[1023] == 5'000'000'000);
    CHECK(position->cursors[0] == 0);
    REQUIRE(!tally->sink().reset(4));
    CHECK(tally->rows().empty());
    position = tally->sink().load();
    CHECK(position->version == 4);
    CHECK(position->cursors[1023] == 0);
  }
}

TEST_CASE("rows of RocksDB are read backwards too, and a range of them goes at once") {
  test::FaultEnvironment environment;
  RocksSink sink("/data/rows", environment.files());
  CHECK(sink.scan_back("", [](auto, auto) { return true; })->type == "not-ready");
  REQUIRE(sink.load());
  REQUIRE(!sink.reset(1));
  REQUIRE(!sink.begin());
  for (const char* key : {"a", "b", "bb", "c", "d"}) sink.put(key, "1");
  REQUIRE(!sink.commit({}));
  const auto keys = [&](const char* before, std::size_t most = 9) {
    std::string all;
    CHECK(!sink.scan_back(before, [&](std::string_view key, std::string_view) {
      all += std::string(key) + ' ';
      return --most > 0;
    }));
    return all;
  };
  CHECK(keys("z") == "d c bb b a ");
  CHECK(keys("c") == "bb b a ");
  CHECK(keys("ba") == "b a ");
  CHECK(keys("z", 2) == "d c ");
  CHECK(keys("a") == "");
  REQUIRE(!sink.begin());
  sink.put("e", "1");
  REQUIRE(!sink.erase_range("b", "c"));
  sink.rollback();
  CHECK(keys("z") == "d c a ");
}

TEST_CASE("an SQLite sink says what is wrong with its file, and forgets no part of a transaction") {
  test::SqliteTally tally;
  auto& sink = dynamic_cast<SqliteSink&>(tally.sink());
  REQUIRE(sink.load());
  REQUIRE(!sink.reset(1));
  REQUIRE(!sink.begin());
  const auto wrong = sink.run("INSERT INTO nowhere VALUES (?1)", {nullptr});
  REQUIRE(wrong);
  CHECK(wrong->detail.find("nowhere") != std::string::npos);
  REQUIRE(!sink.run("INSERT INTO tally VALUES (?1, ?2)", {std::string_view("a"), std::int64_t{1}}));
  CHECK(sink.run("INSERT OR ROLLBACK INTO tally VALUES (?1, ?2)", {std::string_view("a"), 2.5}));
  // The transaction is over: its cursor must not be committed alone.
  const CursorMove move{1, 1};
  CHECK(sink.commit({&move, 1}));
  CHECK(sink.load()->cursors[1] == 0);
  CHECK(tally.rows().empty());

  sqlite3* other = nullptr;
  sqlite3_open(tally.path().c_str(), &other);
  sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
  sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr);
  sqlite3_close(other);

  test::SqliteTally broken;
  std::FILE* file = std::fopen(broken.path().c_str(), "w");
  std::fputs(std::string(5'000, 'x').c_str(), file);
  std::fclose(file);
  const auto refused = broken.sink().load();
  REQUIRE(!refused);
  CHECK(refused.error().type == "corrupt");
}

}  // namespace cx
