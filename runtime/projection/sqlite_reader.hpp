#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/projection/sqlite.hpp"

namespace cx {

/// Reads what an SqliteSink of this process writes, without waiting for it or making it wait. Thread-safe;
/// blocks, so it is for threads of an executor. Each has a read-only connection for as long as it reads.
class SqliteReader {
 public:
  static constexpr std::int64_t kLongest = 2'000;  ///< milliseconds that one query may take

  /// The file need not exist yet. The clock outlives the reader.
  SqliteReader(std::string path, const Clock& clock);
  ~SqliteReader();
  SqliteReader(const SqliteReader&) = delete;
  SqliteReader& operator=(const SqliteReader&) = delete;

  /// Runs one SELECT with its parameters, "?1" being the first, and gives its rows to `visit` until that
  /// returns false. What comes from a stranger belongs into parameters, never into `sql`. `deadline`: Unix
  /// milliseconds, 0 for none. Errors: deadline_exceeded "deadline-exceeded" after kLongest, or the deadline;
  /// unavailable "not-ready" while nothing has been projected into the file, or what sqlite::failure says.
  using Visit = std::function<bool(const sqlite::Row&)>;
  std::optional<Error> read(std::string_view sql, std::span<const sqlite::Value> values,
                            std::int64_t deadline, const Visit& visit) const;

 private:
  struct Connection;
  Result<std::unique_ptr<Connection>> take() const;
  void put_back(std::unique_ptr<Connection> connection) const;

  const std::string path_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards idle_
  mutable std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace cx
