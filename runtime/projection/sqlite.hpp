#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "runtime/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

// What those who write an SQLite file and those who read it have in common.

namespace cx::sqlite {

struct Blob {
  std::string_view bytes;
};
/// A parameter of a statement. Text and blobs have to live until the statement has run.
using Value = std::variant<std::nullptr_t, std::int64_t, double, std::string_view, Blob>;

/// A row of a result; columns are numbered from 0. What it gives is valid while the row is visited. NULL is 0
/// or empty.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  std::int64_t integer(int column) const;
  std::string_view text(int column) const;
  std::string_view blob(int column) const;

 private:
  sqlite3_stmt* statement_;
};

/// The statements of a connection, prepared once and kept: their texts have to be some of few. They have to
/// be cleared before the connection is closed.
class Statements {
 public:
  /// Null when `sql` is wrong, or its tables are missing; the connection knows why.
  sqlite3_stmt* prepare(sqlite3* db, std::string_view sql);
  void clear();
  std::size_t size() const { return prepared_.size(); }

 private:
  std::map<std::string, sqlite3_stmt*, std::less<>> prepared_;
};

/// Sets "?1" to the first value, and so on.
void bind(sqlite3_stmt* statement, std::span<const Value> values);
/// Makes the statement ready for another run, and lets go of its values.
void finish(sqlite3_stmt* statement);

/// The last failure of a connection, null when there was no memory for it: unavailable "disk-full",
/// "read-only", "corrupt", "data-directory-in-use" or "storage-failed".
Error failure(sqlite3* db, std::string_view path, std::string_view doing);

}  // namespace cx::sqlite
