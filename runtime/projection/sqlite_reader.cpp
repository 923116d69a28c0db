#include "runtime/projection/sqlite_reader.hpp"

#include <algorithm>
#include <sqlite3.h>

namespace cx {
namespace {

constexpr std::size_t kIdle = 8;         // connections that are kept
constexpr std::size_t kStatements = 64;  // that a connection keeps
constexpr int kLookEvery = 1'000;        // instructions between two looks at the clock, some 10 µs

// Where it lies is not a caller's business.
std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

Error not_ready(std::string_view path) {
  return {Code::unavailable, "not-ready",
          std::string(name_of(path)) + " is not built yet. Try again in a second.", ""};
}

Error too_slow() {
  return {Code::deadline_exceeded, "deadline-exceeded",
          "The query took too long and was given up. Ask for less: with narrower filters or a smaller page.",
          ""};
}

struct Limit {
  const Clock& clock;
  const SteadyTime until;
  bool over() const { return clock.steady() >= until; }
};

}  // namespace

struct SqliteReader::Connection {
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    statements.clear();
    sqlite3_close(db);
  }
  sqlite3* db = nullptr;
  sqlite::Statements statements;
};

SqliteReader::SqliteReader(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) {}
SqliteReader::~SqliteReader() = default;

Result<std::unique_ptr<SqliteReader::Connection>> SqliteReader::take() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  auto connection = std::make_unique<Connection>();
  constexpr int kFlags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
  const int opened = sqlite3_open_v2(path_.c_str(), &connection->db, kFlags, nullptr);
  if (opened == SQLITE_CANTOPEN) return not_ready(path_);
  if (opened != SQLITE_OK) return sqlite::failure(connection->db, name_of(path_), "opening it");
  // What is stored there must not make us do anything but read, should somebody have got hold of the file.
  sqlite3_db_config(connection->db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_busy_timeout(connection->db, 1'000);
  return connection;
}

void SqliteReader::put_back(std::unique_ptr<Connection> connection) const {
  if (connection->statements.size() > kStatements) connection->statements.clear();
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdle) idle_.push_back(std::move(connection));
}

std::optional<Error> SqliteReader::read(std::string_view sql, std::span<const sqlite::Value> values,
                                        std::int64_t deadline, const Visit& visit) const {
  const auto left = deadline == 0 ? kLongest : std::min(deadline - clock_.unix_ms(), kLongest);
  if (left <= 0) return too_slow();
  Limit limit{clock_, clock_.steady() + std::chrono::milliseconds(left)};
  auto taken = take();
  if (!taken) return taken.error();
  auto connection = std::move(*taken);
  auto* const statement = connection->statements.prepare(connection->db, sql);
  if (statement == nullptr) {
    const std::string_view why = sqlite3_errmsg(connection->db);
    if (why.starts_with("no such table")) return not_ready(path_);
    return sqlite::failure(connection->db, name_of(path_), "reading it");
  }
  sqlite3_progress_handler(
      connection->db, kLookEvery, [](void* l) { return static_cast<int>(static_cast<Limit*>(l)->over()); },
      &limit);
  sqlite::bind(statement, values);
  std::optional<Error> error;
  for (;;) {
    const int step = sqlite3_step(statement);
    if (step == SQLITE_ROW && visit(sqlite::Row(statement))) continue;
    if (step == SQLITE_INTERRUPT)
      error = too_slow();
    else if (step != SQLITE_ROW && step != SQLITE_DONE)
      error = sqlite::failure(connection->db, name_of(path_), "reading it");
    break;
  }
  sqlite::finish(statement);
  sqlite3_progress_handler(connection->db, 0, nullptr, nullptr);
  // One that failed may have lost touch with its file.
  if (!error) put_back(std::move(connection));
  return error;
}

}  // namespace cx
