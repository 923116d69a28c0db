#include <doctest/doctest.h>
#include <thread>

#include "cx/v1/audit.pb.h"
#include "runtime/projection/page_token.hpp"
#include "runtime/projection/sqlite_reader.hpp"
#include "runtime/projection/sqlite_sink.hpp"
#include "tests/runtime/projection/log.hpp"

namespace cx {
namespace {

using sqlite::Value;

/// A clock on which every look at it takes a millisecond.
class Slow final : public Clock {
 public:
  std::int64_t unix_ms() const override { return 1'000'000; }
  SteadyTime steady() const override { return SteadyTime(std::chrono::milliseconds(++looks_)); }
  int looks() const { return looks_; }

 private:
  mutable std::atomic<int> looks_{0};
};

const std::string kSchema = "CREATE TABLE t (n INTEGER, s TEXT, b BLOB)";

std::vector<std::int64_t> numbers(const SqliteReader& reader) {
  std::vector<std::int64_t> out;
  const auto error = reader.read("SELECT n FROM t ORDER BY n", {}, 0, [&](const sqlite::Row& row) {
    out.push_back(row.integer(0));
    return true;
  });
  CHECK(!error);
  return out;
}

}  // namespace

TEST_CASE("values come back as they went in") {
  test::TemporaryDirectory directory;
  SqliteSink sink(directory.file("t.db"), kSchema);
  REQUIRE(sink.load());
  REQUIRE(!sink.reset(1));
  const std::string bytes("a\0\xff'\"", 5);
  REQUIRE(!sink.run("INSERT INTO t VALUES (?1, ?2, ?3)",
                    {std::int64_t{-7}, std::string_view("é'"), sqlite::Blob{bytes}}));
  REQUIRE(!sink.run("INSERT INTO t VALUES (?1, ?2, ?3)", {nullptr, std::string_view(), sqlite::Blob{}}));
  const SystemClock clock;
  const SqliteReader reader(directory.file("t.db"), clock);
  int rows = 0;
  const auto check = [&](const sqlite::Row& row) {
    ++rows;
    CHECK(row.integer(0) == -7);
    CHECK(row.text(1) == "é'");
    CHECK(row.blob(2) == bytes);
    return true;
  };
  const Value values[] = {std::string_view("é'"), sqlite::Blob{bytes}};
  CHECK(!reader.read("SELECT n, s, b FROM t WHERE s = ?1 AND b = ?2", values, 0, check));
  CHECK(rows == 1);
  CHECK(!sink.run("SELECT n, s, b FROM t WHERE n = ?1", {std::int64_t{-7}}, check));
  CHECK(rows == 2);
  // What is empty is not NULL.
  CHECK(!reader.read("SELECT 1 FROM t WHERE s = '' AND b = x''", {}, 0,
                     [&](const sqlite::Row&) { return ++rows > 0; }));
  CHECK(rows == 3);
}

TEST_CASE("a reader sees what is committed, while it is written to and after it was rebuilt") {
  test::TemporaryDirectory directory;
  SqliteSink sink(directory.file("t.db"), kSchema);
  const SystemClock clock;
  const SqliteReader reader(directory.file("t.db"), clock);
  REQUIRE(sink.load());
  REQUIRE(!sink.reset(1));
  CHECK(numbers(reader).empty());
  REQUIRE(!sink.begin());
  REQUIRE(!sink.run("INSERT INTO t VALUES (1, '', '')"));
  CHECK(numbers(reader).empty());  // and does not wait
  REQUIRE(!sink.commit({}));
  CHECK(numbers(reader) == std::vector<std::int64_t>{1});
  REQUIRE(!sink.reset(2));
  CHECK(numbers(reader).empty());
}

TEST_CASE("threads read at once, each as much as it wants") {
  test::TemporaryDirectory directory;
  SqliteSink sink(directory.file("t.db"), kSchema);
  REQUIRE(sink.load());
  REQUIRE(!sink.reset(1));
  for (std::int64_t i = 0; i < 1'000; ++i) REQUIRE(!sink.run("INSERT INTO t VALUES (?1, '', '')", {i}));
  const SystemClock clock;
  const SqliteReader reader(directory.file("t.db"), clock);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        int seen = 0;
        const auto error = reader.read("SELECT n FROM t ORDER BY n", {}, 0, [&](const sqlite::Row& row) {
          return row.integer(0) == seen++ && seen < 10;
        });
        good += !error && seen == 10;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(good == 800);
}

TEST_CASE("a query that takes too long is given up, at its deadline or after the most that one may take") {
  test::TemporaryDirectory directory;
  SqliteSink sink(directory.file("t.db"), kSchema);
  REQUIRE(sink.load());
  REQUIRE(!sink.reset(1));
  const char* endless =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  const auto looks = [&](std::int64_t deadline) {
    const Slow clock;
    const SqliteReader reader(directory.file("t.db"), clock);
    const auto error = reader.read(endless, {}, deadline, [](const sqlite::Row&) { return true; });
    REQUIRE(error);
    CHECK(error->code == Code::deadline_exceeded);
    CHECK(!reader.read("SELECT n FROM t", {}, 0, [](const sqlite::Row&) { return true; }));
    return clock.looks();
  };
  CHECK(looks(1'000'020) < 50);
  CHECK(looks(0) < SqliteReader::kLongest + 50);
  CHECK(looks(5'000'000) < SqliteReader::kLongest + 50);
  CHECK(looks(999'999) < 5);
}

TEST_CASE("a reader changes nothing, and says what is wrong without telling where things are") {
  test::TemporaryDirectory directory;
  SqliteSink sink(directory.file("t.db"), kSchema);
  REQUIRE(sink.load());
  REQUIRE(!sink.reset(1));
  const SystemClock clock;
  const SqliteReader reader(directory.file("t.db"), clock);
  const auto none = [](const sqlite::Row&) { return true; };
  for (const char* sql : {"INSERT INTO t VALUES (1, '', '')", "DROP TABLE t", "SELECT nothing FROM t"}) {
    const auto error = reader.read(sql, {}, 0, none);
    REQUIRE(error);
    CHECK(error->code == Code::unavailable);
    CHECK(error->detail.find(directory.file("")) == std::string::npos);
  }
  CHECK(numbers(reader).empty());
}

TEST_CASE("a reset drops what a search index consists of, and keeps what is to be kept") {
  test::TemporaryDirectory directory;
  const SystemClock clock;
  const std::string schema =
      "CREATE TABLE IF NOT EXISTS t (n INTEGER);"
      "CREATE VIRTUAL TABLE IF NOT EXISTS w USING fts5(a);"
      "CREATE VIEW IF NOT EXISTS v AS SELECT n FROM t";
  for (const auto reset : {SqliteSink::Reset::drop, SqliteSink::Reset::keep}) {
    const auto path = directory.file(reset == SqliteSink::Reset::keep ? "keep.db" : "drop.db");
    SqliteSink sink(path, schema, reset);
    REQUIRE(sink.load());
    REQUIRE(!sink.reset(1));
    REQUIRE(!sink.run("INSERT INTO t VALUES (1)"));
    REQUIRE(!sink.run("INSERT INTO w VALUES ('word')"));
    const CursorMove move{3, 17};
    REQUIRE(!sink.begin());
    REQUIRE(!sink.commit({&move, 1}));
    REQUIRE(!sink.reset(2));
    const SqliteReader reader(path, clock);
    CHECK(numbers(reader).size() == (reset == SqliteSink::Reset::keep ? 1 : 0));
    int words = 0;
    CHECK(!reader.read("SELECT a FROM w WHERE w MATCH 'word'", {}, 0,
                       [&](const sqlite::Row&) { return ++words > 0; }));
    CHECK(words == (reset == SqliteSink::Reset::keep ? 1 : 0));
    const auto position = sink.load();
    CHECK(position->version == 2);
    CHECK(position->cursors[3] == 0);
  }
}

TEST_CASE("a page token is good for its list, whatever the size of its pages, and for nothing else") {
  v1::ListAuditRequest request;
  request.set_actor("user/ana");
  CHECK(page_position(request, "acme")->empty());
  const std::string position("17/\0x\xff", 6);
  const auto token = make_page_token(request, "acme", position);
  for (const char c : token) CHECK(std::isalnum(static_cast<unsigned char>(c)) != 0);
  request.set_page_token(token);
  request.set_page_size(9);
  CHECK(*page_position(request, "acme") == position);
  CHECK(page_position(request, "bolt").error().code == Code::invalid_argument);
  request.set_actor("user/bob");
  CHECK(page_position(request, "acme").error().type == "invalid-page-token");
  request.set_actor("user/ana");
  for (const std::string& bad : {std::string("x"), token.substr(1), token + "0", token + "-1", token + "0x",
                                 token + " 1", token.substr(0, 16), std::string(1'000, 'f')}) {
    request.set_page_token(bad);
    CHECK_MESSAGE(!page_position(request, "acme"), bad);
  }
  CHECK(page_rows(0) == 50);
  CHECK(page_rows(-1) == 50);
  CHECK(page_rows(7) == 7);
  CHECK(page_rows(1'000'000) == 1'000);
}

}  // namespace cx
