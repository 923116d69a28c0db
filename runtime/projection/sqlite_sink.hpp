#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "runtime/projection/projection.hpp"
#include "runtime/projection/sqlite.hpp"

namespace cx {

/// Effects as rows of an SQLite file, which others may read meanwhile through connections of their own
/// (SqliteReader). Tables whose names begin with "cx_" are ours.
class SqliteSink final : public Sink {
 public:
  /// What a reset does to the rows. With `keep`, for what outlives the log that it was made from, they stay,
  /// `schema` has to put up with tables that exist, and the projection with records that it had before.
  enum class Reset { drop, keep };

  /// `schema` creates tables and indices; it runs in an empty file and after every reset, so that a new
  /// schema is a new version of the projection.
  SqliteSink(std::string path, std::string schema, Reset reset = Reset::drop)
      : path_(std::move(path)), schema_(std::move(schema)), reset_(reset) {}
  ~SqliteSink() override;
  SqliteSink(const SqliteSink&) = delete;
  SqliteSink& operator=(const SqliteSink&) = delete;

  Result<Position> load() override;
  std::optional<Error> reset(std::uint32_t version) override;
  std::optional<Error> begin() override { return run("BEGIN IMMEDIATE"); }
  std::optional<Error> commit(std::span<const CursorMove> moves) override;
  void rollback() override;
  std::optional<Error> sync() override;

  /// For the projection, in a transaction: runs one statement with its parameters, "?1" being the first, and
  /// gives the rows that it leads to to `visit`. Statements are prepared once and kept, so their text has to
  /// be one of few.
  using Value = sqlite::Value;
  using Visit = std::function<void(const sqlite::Row&)>;
  std::optional<Error> run(std::string_view sql, std::initializer_list<Value> values = {},
                           const Visit& visit = nullptr);

 private:
  std::optional<Error> open();
  void close();
  std::optional<Error> script(const std::string& sql);
  Error failure(std::string_view doing) const { return sqlite::failure(db_, path_, doing); }

  const std::string path_, schema_;
  const Reset reset_;
  sqlite3* db_ = nullptr;
  bool in_doubt_ = true;  // not open, or a commit failed
  sqlite::Statements statements_;
};

}  // namespace cx
