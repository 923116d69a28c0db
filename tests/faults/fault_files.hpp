#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <rocksdb/file_system.h>
#include <string>
#include <vector>

#include "runtime/random.hpp"

namespace cx::test {

/// The files of a machine that breaks when told to. Keeps book of what was synced: a write that was not is
/// forgotten with the power, and so are a file that was created or renamed in a directory that was not synced
/// since, and a directory whose parent was not. A file that was
/// deleted there may come back. Thread-safe.
class FaultFiles final : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultFiles(std::shared_ptr<rocksdb::FileSystem> base) : FileSystemWrapper(std::move(base)) {}
  const char* Name() const override { return "cx.FaultFiles"; }

  enum class Operation { write, sync, create };
  enum class Failure { io_error, no_space, read_only };
  struct Fault {
    Operation operation;
    Failure failure = Failure::io_error;
    std::uint64_t skip = 0;   ///< how many succeed before
    bool stays = false;       ///< until heal(); otherwise one operation fails
    std::uint64_t keep = 0;   ///< bytes that a failing write still writes: a torn one
    std::string suffix = {};  ///< of the files that it is for: ".log"; empty for all
  };
  /// Adds a fault. Several may wait.
  void fail(Fault fault);
  void heal();

  /// Called with the path before each sync of a file, on the thread that syncs; it may block, as a slow disk
  /// does.
  void on_sync(std::function<void(const std::string&)> call);
  /// A disk that says that it has synced, and has not.
  void lie_about_syncs(bool lie);

  /// From now on nothing can be written.
  void lose_power();
  /// What was not synced is forgotten; with a seed, chance keeps a part of what each file had at its end, as
  /// a cache that was being written back does. New handles work; those from before the loss never do again.
  void restore_power(std::uint64_t seed = 0);

  /// Writes and syncs of files so far, the failed ones included; `suffix` as in Fault.
  std::uint64_t count(Operation operation, const std::string& suffix = "") const;

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDir(const std::string& path, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& path, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;

 private:
  class WritableFile;
  class Directory;
  struct File {
    std::uint64_t size = 0;
    std::uint64_t synced = 0;
    bool named = false;  ///< its directory was synced since it was created
    bool dropped =
        false;  ///< a sync failed: the kernel may have let go of what it was to write, and says so once
  };
  struct Rename {
    std::string from, to;
    std::optional<std::string> replaced;  ///< what `to` held
  };

  rocksdb::IOStatus allow(Operation operation, const std::string& path, std::uint64_t generation,
                          std::uint64_t* keep = nullptr);
  rocksdb::IOStatus open(const std::string& path, std::uint64_t* generation);
  void note(const std::string& path, File file);
  void name_all_in(const std::string& directory);
  bool exists(const std::string& path) const;
  void undo_renames();
  void forget_names();
  void forget_bytes(Random& random, bool all);

  mutable std::mutex mutex_;
  std::vector<Fault> faults_;
  std::function<void(const std::string&)> on_sync_;
  bool lying_ = false;
  bool powered_ = true;
  std::uint64_t generation_ = 0;  // of handles: one more with each loss of power
  std::map<std::string, File> files_;
  std::map<std::string, bool> directories_;     // created, and whether the parent was synced since
  std::vector<Rename> renames_;                 // whose directory was not synced since
  std::map<std::string, std::string> deleted_;  // content of files whose directory was not synced since
  std::map<std::string, std::uint64_t> counts_[3];
};

/// A file system in memory.
std::shared_ptr<rocksdb::FileSystem> memory_files();

/// Damages a file: inverts the bits of `mask` in the byte at `offset`.
void flip_byte(rocksdb::FileSystem& files, const std::string& path, std::uint64_t offset,
               std::uint8_t mask = 0xff);
/// Cuts a file off.
void cut(rocksdb::FileSystem& files, const std::string& path, std::uint64_t size);
/// The content of a file.
std::string content(rocksdb::FileSystem& files, const std::string& path);
/// Names of the files in a directory that end in `suffix`, in their order.
std::vector<std::string> names(rocksdb::FileSystem& files, const std::string& directory,
                               const std::string& suffix);

}  // namespace cx::test
