#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string_view>
#include <variant>

#include "runtime/projection/projection.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace cx {

/// Effects as rows of an SQLite file, which others may read meanwhile through connections of their own.
/// Tables whose names begin with "cx_" are ours.
class SqliteSink final : public Sink {
 public:
  /// `schema` creates tables and indices; it runs in an empty file and after every reset, so that a new
  /// schema is a new version of the projection.
  SqliteSink(std::string path, std::string schema) : path_(std::move(path)), schema_(std::move(schema)) {}
  ~SqliteSink() override;
  SqliteSink(const SqliteSink&) = delete;
  SqliteSink& operator=(const SqliteSink&) = delete;

  Result<Position> load() override;
  std::optional<Error> reset(std::uint32_t version) override;
  std::optional<Error> begin() override { return run("BEGIN IMMEDIATE"); }
  std::optional<Error> commit(std::span<const CursorMove> moves) override;
  void rollback() override;
  std::optional<Error> sync() override;

  /// For the projection, in a transaction: runs one statement with its parameters, "?1" being the first.
  /// Statements are prepared once and kept, so their text has to be one of few.
  using Value = std::variant<std::nullptr_t, std::int64_t, double, std::string_view>;
  std::optional<Error> run(std::string_view sql, std::initializer_list<Value> values = {});

 private:
  std::optional<Error> open();
  void close();
  std::optional<Error> script(const std::string& sql);
  Error failure(std::string_view doing) const;

  const std::string path_, schema_;
  sqlite3* db_ = nullptr;
  bool in_doubt_ = true;  // not open, or a commit failed
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

}  // namespace cx
