#include "runtime/projection/sqlite.hpp"

#include <sqlite3.h>

namespace cx::sqlite {

std::int64_t Row::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Row::text(int column) const {
  const auto* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string_view Row::blob(int column) const {
  const auto* bytes = sqlite3_column_blob(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

sqlite3_stmt* Statements::prepare(sqlite3* db, std::string_view sql) {
  const auto known = prepared_.find(sql);
  if (known != prepared_.end()) return known->second;
  sqlite3_stmt* prepared = nullptr;
  const auto size = static_cast<int>(sql.size());
  if (sqlite3_prepare_v3(db, sql.data(), size, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr) == SQLITE_OK)
    prepared_.emplace(sql, prepared);
  return prepared;
}

void Statements::clear() {
  for (const auto& [sql, statement] : prepared_) sqlite3_finalize(statement);
  prepared_.clear();
}

void bind(sqlite3_stmt* statement, std::span<const Value> values) {
  // An empty view may have no address, which SQLite would take for NULL.
  const auto address = [](std::string_view bytes) { return bytes.empty() ? "" : bytes.data(); };
  int at = 0;
  for (const auto& value : values) {
    ++at;
    if (const auto* n = std::get_if<std::int64_t>(&value))
      sqlite3_bind_int64(statement, at, *n);
    else if (const auto* x = std::get_if<double>(&value))
      sqlite3_bind_double(statement, at, *x);
    else if (const auto* text = std::get_if<std::string_view>(&value))
      sqlite3_bind_text64(statement, at, address(*text), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    else if (const auto* blob = std::get_if<Blob>(&value))
      sqlite3_bind_blob64(statement, at, address(blob->bytes), blob->bytes.size(), SQLITE_STATIC);
    else
      sqlite3_bind_null(statement, at);
  }
}

void finish(sqlite3_stmt* statement) {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

Error failure(sqlite3* db, std::string_view path, std::string_view doing) {
  const int code = db == nullptr ? SQLITE_NOMEM : sqlite3_errcode(db);
  const char* type = "storage-failed";
  const char* advice = "Look at the disk and at what the system logs say about it.";
  if (code == SQLITE_FULL) {
    type = "disk-full";
    advice = "Free space on its disk.";
  } else if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM) {
    type = "read-only";
    advice = "Make its directory, and let this process write there.";
  } else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
    type = "corrupt";
    advice =
        "Restore it from a backup, or delete it while the node is down: it is built again from what the "
        "journal keeps.";
  } else if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
    type = "data-directory-in-use";
    advice = "Another process writes to it: stop that.";
  }
  return {Code::unavailable, type,
          std::string(path) + ": " + (db == nullptr ? "out of memory" : sqlite3_errmsg(db)) +
              ", in: " + std::string(doing.substr(0, 200)) + ". " + advice,
          ""};
}

}  // namespace cx::sqlite
