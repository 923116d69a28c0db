#include "runtime/journal/rocks.hpp"

#include <algorithm>
#include <initializer_list>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <utility>

#include "runtime/journal/wal.hpp"

namespace cx {
namespace {

constexpr std::size_t kMb = std::size_t{1} << 20;

rocksdb::CompressionType compression() {
  const auto compiled_in = rocksdb::GetSupportedCompressions();
  const bool lz4 = std::ranges::find(compiled_in, rocksdb::kLZ4Compression) != compiled_in.end();
  return lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
}

rocksdb::DBOptions db_options(rocksdb::Env& env, rocksdb::WALRecoveryMode recovery) {
  rocksdb::DBOptions options;
  options.env = &env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  options.wal_recovery_mode = recovery;
  options.recycle_log_file_num = 0;                 // an old record must never look like a new one
  options.max_bgerror_resume_count = 0;             // after an error we reopen, and look at what is there
  options.max_background_jobs = 3;                  // two compactions, one flush
  options.max_total_wal_size = 64 * kMb;            // bounds the replay at open
  options.allow_concurrent_memtable_write = false;  // one thread writes
  options.bytes_per_sync = kMb;
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_log_file_size = 4 * kMb;
  options.keep_log_file_num = 2;
  return options;
}

bool mentions(const std::string& text, std::initializer_list<const char*> any) {
  return std::ranges::any_of(any, [&](const char* word) { return text.find(word) != text.npos; });
}

/// Creates `path` and what leads to it, so that a loss of power forgets none of them.
rocksdb::Status create_directories(const std::string& path, rocksdb::Env& env) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string directory = path.substr(0, end);
    if (!env.FileExists(directory).ok()) {
      if (const auto status = env.CreateDirIfMissing(directory); !status.ok()) return status;
      const std::size_t slash = directory.rfind('/');
      const std::string parent =
          slash == directory.npos ? "." : directory.substr(0, std::max<std::size_t>(slash, 1));
      std::unique_ptr<rocksdb::Directory> handle;
      auto status = env.NewDirectory(parent, &handle);
      if (status.ok()) status = handle->Fsync();
      if (!status.ok()) return status;
    }
    if (end == path.npos) return {};
  }
}

rocksdb::Status open(const std::string& path, std::span<const RocksFamily> families, rocksdb::Env& env,
                     rocksdb::WALRecoveryMode recovery, RocksFiles& files) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors{{rocksdb::kDefaultColumnFamilyName, {}}};
  for (const auto& family : families) descriptors.emplace_back(family.name, family.options);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(db_options(env, recovery), path, descriptors, &handles, &db);
  if (!status.ok()) return status;
  RocksFiles opened;
  opened.db.reset(db);
  db->DestroyColumnFamilyHandle(handles.front());
  opened.families.assign(handles.begin() + 1, handles.end());
  files = std::move(opened);
  return status;
}

}  // namespace

RocksFiles& RocksFiles::operator=(RocksFiles&& other) noexcept {
  std::swap(db, other.db);
  std::swap(families, other.families);
  return *this;
}

RocksFiles::~RocksFiles() {
  for (auto* family : families) db->DestroyColumnFamilyHandle(family);
}

rocksdb::ColumnFamilyOptions rocks_family_options(bool lookups) {
  static const auto cache = rocksdb::NewLRUCache(256 * kMb);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = (lookups ? 4 : 32) << 10;
  table.format_version = 5;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  if (lookups) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = compression();
  options.write_buffer_size = 32 * kMb;
  options.level_compaction_dynamic_level_bytes = true;
  return options;
}

Result<RocksFiles> open_rocks(const std::string& path, std::span<const RocksFamily> families,
                              rocksdb::Env& env) {
  if (const auto status = create_directories(path, env); !status.ok()) return rocks_error(status, path);
  RocksFiles files;
  auto status = open(path, families, env, rocksdb::WALRecoveryMode::kAbsoluteConsistency, files);
  if (status.IsCorruption()) {
    const auto damage = find_wal_damage(path, env);
    if (!damage) return damage.error();
    if (*damage && !(*damage)->torn_end)
      return corrupt_error(path, (*damage)->file + " is damaged at byte " + std::to_string((*damage)->at));
    if (*damage)
      status = open(path, families, env, rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords, files);
  }
  if (!status.ok()) return rocks_error(status, path);
  return files;
}

Error corrupt_error(const std::string& path, const std::string& what) {
  return {Code::internal, "corrupt",
          "The data in " + path + " is damaged: " + what +
              ". Nothing was changed. Check the disk, then restore the directory from a backup.",
          ""};
}

Error rocks_error(const rocksdb::Status& status, const std::string& path) {
  const std::string text = status.ToString();
  if (status.IsCorruption()) return corrupt_error(path, text);
  if (status.IsNoSpace())
    return {Code::unavailable, "disk-full",
            "The disk that holds " + path + " is full. Free some space on it. (" + text + ")", ""};
  if (mentions(text, {"lock hold by current process", "lock is already held"}) ||
      (mentions(text, {"LOCK"}) && mentions(text, {"temporarily unavailable", "No locks available"})))
    return {Code::unavailable, "data-directory-in-use",
            "Another process has " + path +
                " open. Stop it, or give this one a data directory of its own. (" + text + ")",
            ""};
  if (mentions(text, {"Read-only file system", "Permission denied", "Operation not permitted"}))
    return {Code::unavailable, "read-only",
            path +
                " cannot be written. Make the directory writable for the user that this process runs as. (" +
                text + ")",
            ""};
  return {Code::unavailable, "storage-failed",
          "Reading or writing " + path + " failed. Check the path and the disk. (" + text + ")", ""};
}

}  // namespace cx
