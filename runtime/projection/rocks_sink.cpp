#include "runtime/projection/rocks_sink.hpp"

#include <charconv>

namespace cx {
namespace {

enum Family { kRows, kCursors };
constexpr std::string_view kVersion = "version";  // beside the cursors, whose keys are shards in decimal

std::string decimal(std::uint64_t n) {
  return std::to_string(n);
}

std::uint64_t number(std::string_view text) {
  std::uint64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

// Where it lies is not a caller's business.
Error not_open(std::string_view path) {
  return {Code::unavailable, "not-ready",
          std::string(path.substr(path.rfind('/') + 1)) + " is not open yet. Try again in a second.", ""};
}

}  // namespace

Result<Sink::Position> RocksSink::load() {
  if (in_doubt_) {
    const std::unique_lock lock(mutex_);
    files_ = {};  // first: a directory is open once
    batch_.Clear();
    const RocksFamily families[] = {{"rows", rocks_family_options(true)},
                                    {"cursors", rocks_family_options(false)}};
    auto files = open_rocks(path_, families, env_);
    if (!files) return files.error();
    files_ = std::move(*files);
    in_doubt_ = false;
  }
  Position position;
  const std::unique_ptr<rocksdb::Iterator> it(files_.db->NewIterator({}, files_.families[kCursors]));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const auto n = number(it->value().ToStringView());
    if (it->key() == kVersion)
      position.version = static_cast<std::uint32_t>(n);
    else
      position.cursors.at(number(it->key().ToStringView())) = n;
  }
  if (!it->status().ok()) return rocks_error(it->status(), path_);
  return position;
}

std::optional<Error> RocksSink::write(rocksdb::WriteBatch& batch, bool sync) {
  if (in_doubt_) return rocks_error(rocksdb::Status::IOError("not open after a failed write"), path_);
  rocksdb::WriteOptions options;
  options.sync = sync;
  const auto status = files_.db->Write(options, &batch);
  if (status.ok()) return std::nullopt;
  in_doubt_ = true;
  return rocks_error(status, path_);
}

std::optional<Error> RocksSink::reset(std::uint32_t version) {
  rocksdb::WriteBatch batch;
  for (const auto family : {kRows, kCursors}) {
    const std::unique_ptr<rocksdb::Iterator> it(files_.db->NewIterator({}, files_.families[family]));
    it->SeekToLast();
    if (!it->status().ok()) return rocks_error(it->status(), path_);
    if (it->Valid()) batch.DeleteRange(files_.families[family], "", it->key().ToString() + '\0');
  }
  batch.Put(files_.families[kCursors], kVersion, decimal(version));
  return write(batch, true);
}

std::optional<Error> RocksSink::begin() {
  batch_.Clear();
  return std::nullopt;
}

std::optional<Error> RocksSink::commit(std::span<const CursorMove> moves) {
  for (const auto& move : moves)
    batch_.Put(files_.families[kCursors], decimal(move.shard), decimal(move.sequence));
  auto error = write(*batch_.GetWriteBatch(), false);
  batch_.Clear();
  return error;
}

std::optional<Error> RocksSink::sync() {
  const auto status = files_.db->SyncWAL();
  if (status.ok()) return std::nullopt;
  in_doubt_ = true;
  return rocks_error(status, path_);
}

void RocksSink::put(std::string_view key, std::string_view value) {
  batch_.Put(files_.families[kRows], key, value);
}

void RocksSink::erase(std::string_view key) {
  batch_.Delete(files_.families[kRows], key);
}

Result<std::optional<std::string>> RocksSink::get(std::string_view key) {
  std::string value;
  const auto status = batch_.GetFromBatchAndDB(files_.db.get(), {}, files_.families[kRows], key, &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return rocks_error(status, path_);
  return std::optional(std::move(value));
}

std::optional<Error> RocksSink::erase_range(std::string_view from, std::string_view to) {
  rocksdb::WriteBatch batch;
  batch.DeleteRange(files_.families[kRows], from, to);
  return write(batch, false);
}

std::optional<Error> RocksSink::scan(std::string_view from, const Visit& visit) const {
  const std::shared_lock lock(mutex_);
  if (!files_.db) return not_open(path_);
  const std::unique_ptr<rocksdb::Iterator> it(files_.db->NewIterator({}, files_.families[kRows]));
  for (it->Seek(from); it->Valid(); it->Next())
    if (!visit(it->key().ToStringView(), it->value().ToStringView())) break;
  if (!it->status().ok()) return rocks_error(it->status(), path_);
  return std::nullopt;
}

std::optional<Error> RocksSink::scan_back(std::string_view before, const Visit& visit) const {
  const std::shared_lock lock(mutex_);
  if (!files_.db) return not_open(path_);
  const std::unique_ptr<rocksdb::Iterator> it(files_.db->NewIterator({}, files_.families[kRows]));
  it->SeekForPrev(before);
  if (it->Valid() && it->key() == before) it->Prev();
  for (; it->Valid(); it->Prev())
    if (!visit(it->key().ToStringView(), it->value().ToStringView())) break;
  if (!it->status().ok()) return rocks_error(it->status(), path_);
  return std::nullopt;
}

}  // namespace cx
