#pragma once

#include <memory>
#include <rocksdb/db.h>
#include <span>
#include <string>
#include <vector>

#include "runtime/error.hpp"

namespace cx {

/// A RocksDB directory that is open. Handles are in the order in which the families were named.
struct RocksFiles {
  RocksFiles() = default;
  RocksFiles(RocksFiles&& other) noexcept { *this = std::move(other); }
  RocksFiles& operator=(RocksFiles&& other) noexcept;
  ~RocksFiles();

  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
};

struct RocksFamily {
  std::string name;
  rocksdb::ColumnFamilyOptions options;
};

/// What our families have in common: checksums, compression, a block cache that all of them share, and a
/// bloom filter where rows are looked up by key (`lookups`).
rocksdb::ColumnFamilyOptions rocks_family_options(bool lookups);

/// Opens a directory, creating it and its families when absent. A torn end of the write-ahead log, which
/// nobody was promised, is dropped; anything else that cannot be read is refused as "corrupt", a directory
/// that another process holds as "data-directory-in-use", one that cannot be written as "read-only" or
/// "disk-full". Each error says what to do.
Result<RocksFiles> open_rocks(const std::string& path, std::span<const RocksFamily> families,
                              rocksdb::Env& env);

/// What a failed operation on `path` means to a caller: as above, and "storage-failed" for the rest.
Error rocks_error(const rocksdb::Status& status, const std::string& path);

/// "corrupt": `what` says which part of `path` is damaged, and how it shows.
Error corrupt_error(const std::string& path, const std::string& what);

}  // namespace cx
