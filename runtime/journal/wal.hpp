#pragma once

#include <optional>
#include <string>

#include "runtime/error.hpp"

namespace rocksdb {
class Env;
}

namespace cx {

/// What is wrong with the write-ahead logs in a RocksDB directory.
struct WalDamage {
  std::string file;       ///< its path
  std::uint64_t at = 0;   ///< offset of the first bytes that are not a record
  bool torn_end = false;  ///< a write was cut short, and nothing follows: nobody was promised what is lost
};

/// Reads the logs of `directory`, oldest first, and finds the first damage. RocksDB itself can be told to
/// tolerate either no incomplete record or any; the latter silently drops up to 32 KB of good records behind
/// a damaged length.
Result<std::optional<WalDamage>> find_wal_damage(const std::string& directory, rocksdb::Env& env);

}  // namespace cx
