#include "runtime/projection/sqlite_sink.hpp"

#include <sqlite3.h>

namespace cx {
namespace {

// In WAL mode readers do not hinder us, and a commit that is not synced is lost whole or not at all.
constexpr const char* kSetup =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000;"
    "CREATE TABLE IF NOT EXISTS cx_cursors (shard INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS cx_version (version INTEGER NOT NULL);";

}  // namespace

SqliteSink::~SqliteSink() {
  close();
}

void SqliteSink::close() {
  statements_.clear();
  sqlite3_close(db_);
  db_ = nullptr;
}

std::optional<Error> SqliteSink::script(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return failure(sql);
  return std::nullopt;
}

std::optional<Error> SqliteSink::open() {
  close();
  // One thread at a time uses the connection, so it needs no lock of its own.
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path_.c_str(), &db_, kFlags, nullptr) != SQLITE_OK) return failure("opening it");
  return script(kSetup);
}

Result<Sink::Position> SqliteSink::load() {
  if (in_doubt_) {
    if (auto error = open()) return *error;
    in_doubt_ = false;
  }
  Position position;
  const auto read = [](void* to, int, char** columns, char**) {
    auto& p = *static_cast<Position*>(to);
    const std::uint64_t n = std::stoull(columns[1]);
    if (columns[0] == nullptr)
      p.version = static_cast<std::uint32_t>(n);
    else
      p.cursors.at(std::stoul(columns[0])) = n;
    return 0;
  };
  const char* sql = "SELECT shard, sequence FROM cx_cursors UNION ALL SELECT NULL, version FROM cx_version";
  if (sqlite3_exec(db_, sql, read, &position, nullptr) != SQLITE_OK) return failure(sql);
  return position;
}

std::optional<Error> SqliteSink::reset(std::uint32_t version) {
  std::string sql = "BEGIN IMMEDIATE;";
  const auto drop = [](void* to, int, char** columns, char**) {
    *static_cast<std::string*>(to) += std::string("DROP ") + columns[0] + " \"" + columns[1] + "\";";
    return 0;
  };
  // Indices and triggers go with their tables, and so do the tables behind a virtual one.
  const char* what =
      "SELECT iif(type = 'view', 'VIEW', 'TABLE'), name FROM pragma_table_list"
      " WHERE schema = 'main' AND type IN ('table', 'view', 'virtual')"
      " AND name NOT LIKE 'cx\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
  if (reset_ == Reset::drop && sqlite3_exec(db_, what, drop, &sql, nullptr) != SQLITE_OK)
    return failure(what);
  sql += "DELETE FROM cx_cursors; DELETE FROM cx_version; INSERT INTO cx_version VALUES (" +
         std::to_string(version) + ");" + schema_ + ";COMMIT";
  auto error = script(sql);
  if (error) rollback();
  return error ? error : sync();
}

std::optional<Error> SqliteSink::commit(std::span<const CursorMove> moves) {
  std::optional<Error> error;
  // Some errors end the transaction, and whoever got one may have ignored it.
  if (sqlite3_get_autocommit(db_) != 0) error = failure("a transaction that was rolled back");
  for (const auto& move : moves)
    if (!error)
      error = run("INSERT OR REPLACE INTO cx_cursors VALUES (?1, ?2)",
                  {std::int64_t{move.shard}, static_cast<std::int64_t>(move.sequence)});
  if (!error) error = run("COMMIT");
  if (error) in_doubt_ = true;
  return error;
}

void SqliteSink::rollback() {
  if (db_ != nullptr && sqlite3_get_autocommit(db_) == 0 && run("ROLLBACK")) in_doubt_ = true;
}

// A commit in full mode syncs the log, and with it all that was committed before.
std::optional<Error> SqliteSink::sync() {
  return script(
      "PRAGMA synchronous=FULL; UPDATE cx_version SET version = version; PRAGMA synchronous=NORMAL");
}

std::optional<Error> SqliteSink::run(std::string_view sql, std::initializer_list<Value> values,
                                     const Visit& visit) {
  auto* const statement = statements_.prepare(db_, sql);
  if (statement == nullptr) return failure(sql);
  sqlite::bind(statement, values);
  int step = sqlite3_step(statement);
  for (; step == SQLITE_ROW; step = sqlite3_step(statement))
    if (visit) visit(sqlite::Row(statement));
  std::optional<Error> error;
  if (step != SQLITE_DONE) error = failure(sql);
  sqlite::finish(statement);
  return error;
}

}  // namespace cx
