#pragma once

#include <functional>
#include <rocksdb/utilities/write_batch_with_index.h>
#include <shared_mutex>
#include <string_view>

#include "runtime/journal/rocks.hpp"
#include "runtime/projection/projection.hpp"

namespace cx {

/// Effects as rows, key to value, in a RocksDB directory of their own.
class RocksSink final : public Sink {
 public:
  RocksSink(std::string path, rocksdb::Env& env) : path_(std::move(path)), env_(env) {}

  Result<Position> load() override;
  std::optional<Error> reset(std::uint32_t version) override;
  std::optional<Error> begin() override;
  std::optional<Error> commit(std::span<const CursorMove> moves) override;
  void rollback() override { batch_.Clear(); }
  std::optional<Error> sync() override;

  /// For the projection, in a transaction; get() sees what it has put.
  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);
  Result<std::optional<std::string>> get(std::string_view key);
  /// Removes committed rows of keys in [from, to), however many: at once and for good, also when the
  /// transaction is taken back. For what is too old, whoever put it there.
  std::optional<Error> erase_range(std::string_view from, std::string_view to);

  /// For everybody, at any time: calls `visit` with committed rows from key `from` on, in order, until it
  /// returns false. Rows of one moment. unavailable "not-ready" before the first load().
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  std::optional<Error> scan(std::string_view from, const Visit& visit) const;
  /// The same backwards, from the last key before `before` on.
  std::optional<Error> scan_back(std::string_view before, const Visit& visit) const;

 private:
  std::optional<Error> write(rocksdb::WriteBatch& batch, bool sync);

  const std::string path_;
  rocksdb::Env& env_;
  mutable std::shared_mutex mutex_;  // held to read through files_ by others, and alone to replace them
  RocksFiles files_;
  bool in_doubt_ = true;  // not open, or a write failed
  rocksdb::WriteBatchWithIndex batch_{rocksdb::BytewiseComparator(), 0, true};
};

}  // namespace cx
