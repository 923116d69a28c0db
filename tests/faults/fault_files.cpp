#include "tests/faults/fault_files.hpp"

#include <algorithm>
#include <rocksdb/env.h>
#include <utility>

namespace cx::test {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

std::string parent(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

IOStatus status_of(FaultFiles::Failure failure, const std::string& path) {
  switch (failure) {
    case FaultFiles::Failure::no_space:
      return IOStatus::NoSpace(path, "No space left on device");
    case FaultFiles::Failure::read_only:
      return IOStatus::IOError(path, "Read-only file system");
    default:
      return IOStatus::IOError(path, "Input/output error");
  }
}

void write_file(rocksdb::FileSystem& files, const std::string& path, const std::string& content) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  if (files.NewWritableFile(path, {}, &file, nullptr).ok()) {
    file->Append(content, {}, nullptr).PermitUncheckedError();
    file->Close({}, nullptr).PermitUncheckedError();
  }
}

}  // namespace

class FaultFiles::WritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WritableFile(FaultFiles& files, std::string path, std::uint64_t generation,
               std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)),
        files_(files),
        path_(std::move(path)),
        generation_(generation) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) override {
    std::uint64_t keep = 0;
    const IOStatus allowed = files_.allow(Operation::write, path_, generation_, &keep);
    if (!allowed.ok()) {
      if (keep > 0) write({data.data(), std::min<std::size_t>(keep, data.size())}, options, debug);
      return allowed;
    }
    return write(data, options, debug);
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    const std::lock_guard lock(files_.mutex_);
    if (generation_ != files_.generation_) return IOStatus::IOError(path_, "the power was lost");
    const IOStatus status = target()->Truncate(size, options, debug);
    File& file = files_.files_[path_];
    if (status.ok()) file.size = std::min(file.size, size);
    return status;
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    std::uint64_t size = 0;
    std::function<void(const std::string&)> call;
    {
      const std::lock_guard lock(files_.mutex_);
      size = files_.files_[path_].size;
      call = files_.on_sync_;
    }
    if (call) call(path_);
    const IOStatus allowed = files_.allow(Operation::sync, path_, generation_);
    const IOStatus status = allowed.ok() ? target()->Sync(options, debug) : allowed;
    const std::lock_guard lock(files_.mutex_);
    if (generation_ != files_.generation_) return IOStatus::IOError(path_, "the power was lost");
    File& file = files_.files_[path_];
    if (!status.ok()) file.dropped = true;
    if (!file.dropped && !files_.lying_) file.synced = std::max(file.synced, size);
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override { return Sync(options, debug); }
  bool IsSyncThreadSafe() const override { return true; }

 private:
  IOStatus write(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) {
    const std::lock_guard lock(files_.mutex_);
    if (generation_ != files_.generation_) return IOStatus::IOError(path_, "the power was lost");
    const IOStatus status = target()->Append(data, options, debug);
    if (status.ok()) files_.files_[path_].size += data.size();
    return status;
  }

  FaultFiles& files_;
  const std::string path_;
  const std::uint64_t generation_;
};

class FaultFiles::Directory final : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(FaultFiles& files, std::string path, std::uint64_t generation,
            std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)),
        files_(files),
        path_(std::move(path)),
        generation_(generation) {
    while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return noted(FSDirectoryWrapper::Fsync(options, debug));
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& directory_options) override {
    return noted(FSDirectoryWrapper::FsyncWithDirOptions(options, debug, directory_options));
  }

 private:
  IOStatus noted(IOStatus status) {
    if (status.ok()) status = files_.allow(Operation::sync, path_, generation_);
    if (status.ok()) files_.name_all_in(path_);
    return status;
  }

  FaultFiles& files_;
  std::string path_;
  const std::uint64_t generation_;
};

void FaultFiles::fail(Fault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FaultFiles::heal() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
}

void FaultFiles::on_sync(std::function<void(const std::string&)> call) {
  const std::lock_guard lock(mutex_);
  on_sync_ = std::move(call);
}

void FaultFiles::lie_about_syncs(bool lie) {
  const std::lock_guard lock(mutex_);
  lying_ = lie;
}

std::uint64_t FaultFiles::count(Operation operation, const std::string& suffix) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t sum = 0;
  for (const auto& [path, count] : counts_[static_cast<int>(operation)])
    if (path.ends_with(suffix)) sum += count;
  return sum;
}

IOStatus FaultFiles::allow(Operation operation, const std::string& path, std::uint64_t generation,
                           std::uint64_t* keep) {
  const std::lock_guard lock(mutex_);
  if (generation != generation_ || !powered_) return IOStatus::IOError(path, "the power was lost");
  ++counts_[static_cast<int>(operation)][path];
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->operation != operation || !path.ends_with(fault->suffix)) continue;
    if (fault->skip > 0) {
      --fault->skip;
      continue;
    }
    const IOStatus status = status_of(fault->failure, path);
    if (keep) *keep = fault->keep;
    if (!fault->stays) faults_.erase(fault);
    return status;
  }
  return IOStatus::OK();
}

IOStatus FaultFiles::open(const std::string& path, std::uint64_t* generation) {
  {
    const std::lock_guard lock(mutex_);
    *generation = generation_;
  }
  return allow(Operation::create, path, *generation);
}

bool FaultFiles::exists(const std::string& path) const {
  return target()->FileExists(path, {}, nullptr).ok();
}

void FaultFiles::note(const std::string& path, File file) {
  const std::lock_guard lock(mutex_);
  const auto known = files_.find(path);
  if (known != files_.end()) file.named = known->second.named;
  files_[path] = file;
}

void FaultFiles::name_all_in(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  if (lying_) return;
  for (auto& [path, file] : files_)
    if (parent(path) == directory) file.named = true;
  for (auto& [path, named] : directories_)
    if (parent(path) == directory) named = true;
  std::erase_if(renames_, [&](const Rename& rename) { return parent(rename.to) == directory; });
  std::erase_if(deleted_, [&](const auto& file) { return parent(file.first) == directory; });
}

IOStatus FaultFiles::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                     std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) {
  std::uint64_t generation = 0;
  IOStatus status = open(path, &generation);
  if (!status.ok()) return status;
  const bool named = exists(path);
  status = FileSystemWrapper::NewWritableFile(path, options, file, debug);
  if (!status.ok()) return status;
  note(path, {.named = named});
  *file = std::make_unique<WritableFile>(*this, path, generation, std::move(*file));
  return status;
}

IOStatus FaultFiles::ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSWritableFile>* file,
                                        IODebugContext* debug) {
  std::uint64_t generation = 0;
  IOStatus status = open(path, &generation);
  if (!status.ok()) return status;
  std::uint64_t size = 0;
  const bool named = target()->GetFileSize(path, {}, &size, nullptr).ok();
  status = FileSystemWrapper::ReopenWritableFile(path, options, file, debug);
  if (!status.ok()) return status;
  {
    const std::lock_guard lock(mutex_);
    files_.try_emplace(path, File{.size = size, .synced = size, .named = named});
  }
  *file = std::make_unique<WritableFile>(*this, path, generation, std::move(*file));
  return status;
}

IOStatus FaultFiles::NewDirectory(const std::string& path, const IOOptions& options,
                                  std::unique_ptr<rocksdb::FSDirectory>* directory, IODebugContext* debug) {
  const IOStatus status = FileSystemWrapper::NewDirectory(path, options, directory, debug);
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  *directory = std::make_unique<Directory>(*this, path, generation_, std::move(*directory));
  return status;
}

IOStatus FaultFiles::CreateDir(const std::string& path, const IOOptions& options, IODebugContext* debug) {
  std::uint64_t generation = 0;
  IOStatus status = open(path, &generation);
  if (status.ok()) status = FileSystemWrapper::CreateDir(path, options, debug);
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  directories_[path] = false;
  return status;
}

IOStatus FaultFiles::CreateDirIfMissing(const std::string& path, const IOOptions& options,
                                        IODebugContext* debug) {
  return exists(path) ? IOStatus::OK() : CreateDir(path, options, debug);
}

IOStatus FaultFiles::DeleteFile(const std::string& path, const IOOptions& options, IODebugContext* debug) {
  const std::lock_guard lock(mutex_);
  if (!powered_) return IOStatus::IOError(path, "the power was lost");
  const bool named = !files_.contains(path) || files_[path].named;
  std::string bytes = named ? content(*target(), path) : "";
  const IOStatus status = FileSystemWrapper::DeleteFile(path, options, debug);
  if (!status.ok()) return status;
  if (named) deleted_[path] = std::move(bytes);
  files_.erase(path);
  std::erase_if(renames_, [&](const Rename& rename) { return rename.to == path; });
  return status;
}

IOStatus FaultFiles::RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                                IODebugContext* debug) {
  std::uint64_t generation = 0;
  IOStatus status = open(to, &generation);
  if (!status.ok()) return status;
  Rename rename{from, to, std::nullopt};
  if (exists(to)) rename.replaced = content(*target(), to);
  status = FileSystemWrapper::RenameFile(from, to, options, debug);
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  if (const auto file = files_.find(from); file != files_.end()) {
    files_[to] = file->second;
    files_.erase(from);
  } else {
    files_.erase(to);
  }
  renames_.push_back(std::move(rename));
  return status;
}

void FaultFiles::lose_power() {
  const std::lock_guard lock(mutex_);
  powered_ = false;
}

void FaultFiles::restore_power(std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  undo_renames();
  forget_names();
  Random random(seed);
  forget_bytes(random, seed == 0);
  for (const auto& [path, bytes] : deleted_)
    if (seed != 0 && !exists(path) && random.below(2) == 0) write_file(*target(), path, bytes);
  deleted_.clear();
  files_.clear();
  directories_.clear();
  faults_.clear();
  powered_ = true;
}

void FaultFiles::undo_renames() {
  for (; !renames_.empty(); renames_.pop_back()) {
    const auto& [from, to, replaced] = renames_.back();
    target()->RenameFile(to, from, {}, nullptr).PermitUncheckedError();
    if (const auto file = files_.find(to); file != files_.end()) {
      files_[from] = file->second;
      files_.erase(file);
    }
    if (replaced) write_file(*target(), to, *replaced);
  }
}

void FaultFiles::forget_names() {
  for (const auto& [directory, named] : directories_)
    if (!named)
      for (auto& [path, file] : files_)
        if (path.starts_with(directory + "/")) file.named = false;
  for (const auto& [path, file] : files_)
    if (!file.named) target()->DeleteFile(path, {}, nullptr).PermitUncheckedError();
  for (auto directory = directories_.rbegin(); directory != directories_.rend(); ++directory)
    if (!directory->second) target()->DeleteDir(directory->first, {}, nullptr).PermitUncheckedError();
}

void FaultFiles::forget_bytes(Random& random, bool all) {
  for (const auto& [path, file] : files_) {
    const std::uint64_t unsynced = file.size - std::min(file.size, file.synced);
    if (!file.named || unsynced == 0) continue;
    const std::uint64_t kept = all ? 0 : random.next() % (unsynced + 1);
    cut(*target(), path, file.size - unsynced + kept);
  }
}

std::shared_ptr<rocksdb::FileSystem> memory_files() {
  const std::unique_ptr<rocksdb::Env> env(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  return env->GetFileSystem();
}

std::string content(rocksdb::FileSystem& files, const std::string& path) {
  std::string bytes;
  rocksdb::ReadFileToString(&files, path, &bytes).PermitUncheckedError();
  return bytes;
}

void flip_byte(rocksdb::FileSystem& files, const std::string& path, std::uint64_t offset, std::uint8_t mask) {
  std::string bytes = content(files, path);
  bytes.at(offset) = static_cast<char>(bytes[offset] ^ mask);
  write_file(files, path, bytes);
}

void cut(rocksdb::FileSystem& files, const std::string& path, std::uint64_t size) {
  write_file(files, path, content(files, path).substr(0, size));
}

std::vector<std::string> names(rocksdb::FileSystem& files, const std::string& directory,
                               const std::string& suffix) {
  std::vector<std::string> found;
  files.GetChildren(directory, {}, &found, nullptr).PermitUncheckedError();
  std::erase_if(found, [&](const std::string& name) { return !name.ends_with(suffix); });
  std::ranges::sort(found);
  return found;
}

}  // namespace cx::test
