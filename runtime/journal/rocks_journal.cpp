#include "runtime/journal/rocks_journal.hpp"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/env.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <utility>
#include <xxhash.h>

namespace cx {
namespace {

constexpr std::array<const char*, kTables> kTableNames = {"snapshots", "bases",        "reminders",
                                                          "outbox",    "dead_letters", "meta"};
// Families: the tables in their order, then these two.
constexpr std::size_t kLog = kTables;
constexpr std::size_t kHeads = kTables + 1;

using Number = std::array<char, 8>;

Number little_endian(std::uint64_t number) {
  Number bytes;
  for (auto& byte : bytes) byte = static_cast<char>(number), number >>= 8;
  return bytes;
}

std::uint64_t from_little_endian(const char* bytes) {
  std::uint64_t number = 0;
  for (int i = 7; i >= 0; --i) number = (number << 8) | static_cast<std::uint8_t>(bytes[i]);
  return number;
}

std::array<char, 2> shard_prefix(std::uint32_t shard) {
  return {static_cast<char>(shard >> 8), static_cast<char>(shard)};
}

std::string row_key(std::uint32_t shard, std::string_view key) {
  const auto prefix = shard_prefix(shard);
  std::string row(prefix.data(), prefix.size());
  row += key;
  return row;
}

std::string log_key(std::uint32_t shard, std::uint64_t sequence) {
  std::string key(10, '\0');
  for (std::size_t i = 10; i > 2; --i, sequence >>= 8) key[i - 1] = static_cast<char>(sequence);
  key[0] = static_cast<char>(shard >> 8);
  key[1] = static_cast<char>(shard);
  return key;
}

std::uint32_t shard_of_key(const rocksdb::Slice& key) {
  return (std::uint32_t{static_cast<std::uint8_t>(key[0])} << 8) | static_cast<std::uint8_t>(key[1]);
}

std::uint64_t sequence_of_key(const rocksdb::Slice& key) {
  std::uint64_t sequence = 0;
  for (std::size_t i = 2; i < 10; ++i) sequence = (sequence << 8) | static_cast<std::uint8_t>(key[i]);
  return sequence;
}

std::uint64_t checksum(std::string_view key, std::string_view value) {
  return XXH3_64bits_withSeed(value.data(), value.size(), XXH3_64bits(key.data(), key.size()));
}

/// A value as it is stored: checksum first.
void put(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family, const std::string& key,
         std::string_view value) {
  const Number sum = little_endian(checksum(key, value));
  const rocksdb::Slice key_slice(key);
  const std::array<rocksdb::Slice, 2> parts = {rocksdb::Slice(sum.data(), sum.size()),
                                               rocksdb::Slice(value.data(), value.size())};
  batch.Put(family, rocksdb::SliceParts(&key_slice, 1), rocksdb::SliceParts(parts.data(), parts.size()));
}

/// The value that was put, if it is still that.
std::optional<std::string_view> checked(const rocksdb::Slice& key, const rocksdb::Slice& stored) {
  if (stored.size() < sizeof(Number)) return std::nullopt;
  const std::string_view value(stored.data() + sizeof(Number), stored.size() - sizeof(Number));
  if (from_little_endian(stored.data()) != checksum({key.data(), key.size()}, value)) return std::nullopt;
  return value;
}

void put_row(rocksdb::WriteBatch& batch, const RocksFiles& files, std::uint32_t shard, Table table,
             std::string_view row, const std::optional<std::string_view>& value) {
  auto* family = files.families[static_cast<std::size_t>(table)];
  const std::string key = row_key(shard, row);
  if (value)
    put(batch, family, key, *value);
  else
    batch.Delete(family, key);
}

void put_writes(rocksdb::WriteBatch& batch, const RocksFiles& files, std::uint32_t shard,
                std::span<const Write> writes) {
  for (const auto& write : writes) put_row(batch, files, shard, write.table, write.key, write.value);
}

void put_head(rocksdb::WriteBatch& batch, const RocksFiles& files, std::uint32_t shard, const Head& head) {
  const Number epoch = little_endian(head.epoch);
  const Number first = little_endian(head.first);
  std::string value(epoch.data(), epoch.size());
  value.append(first.data(), first.size());
  put(batch, files.families[kHeads], row_key(shard, {}), value);
}

/// The part of a family that is a shard's.
struct RowsOf {
  RowsOf(const RocksFiles& files, std::size_t family, std::uint32_t shard, const rocksdb::Snapshot* at)
      : end(row_key(shard + 1, {})), bound(end) {
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &bound;
    options.snapshot = at;
    rows.reset(files.db->NewIterator(options, files.families[family]));
  }
  const std::string end;
  const rocksdb::Slice bound;
  std::unique_ptr<rocksdb::Iterator> rows;
};

/// epoch and first, as put_head wrote them; last is before first.
std::optional<Head> head_of(std::string_view value) {
  if (value.size() != 16) return std::nullopt;
  const std::uint64_t first = from_little_endian(value.data() + 8);
  return Head{from_little_endian(value.data()), first, first - 1};
}

/// A key for people: printable as it is, the rest in hexadecimal.
std::string readable(std::string_view key) {
  std::string text;
  for (const char c : key) {
    if (c >= ' ' && c <= '~') {
      text += c;
    } else {
      constexpr const char* digits = "0123456789abcdef";
      text += {'\\', 'x', digits[static_cast<std::uint8_t>(c) >> 4], digits[c & 15]};
    }
  }
  return text;
}

Error fenced(std::uint32_t shard, const std::string& why) {
  return {Code::unavailable, "fenced",
          "Shard " + std::to_string(shard) + " " + why + ". Open it again before writing.", ""};
}

}  // namespace

/// Leaves truncated records out of compactions: a tombstone for each would cost a write, and range tombstones
/// slow reads down. Readers never look below `first`.
class RocksJournal::Forget final : public rocksdb::CompactionFilter {
 public:
  void below(std::uint32_t shard, std::uint64_t first) {
    first_[shard].store(first, std::memory_order_relaxed);
  }
  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice&, std::string*, bool*) const override {
    return sequence_of_key(key) < first_[shard_of_key(key)].load(std::memory_order_relaxed);
  }
  const char* Name() const override { return "cx.journal.forget"; }

 private:
  std::array<std::atomic<std::uint64_t>, kShards> first_{};
};

RocksJournal::RocksJournal(std::string path, rocksdb::Env& env)
    : path_(std::move(path)), env_(env), forget_(std::make_unique<Forget>()) {}

RocksJournal::~RocksJournal() = default;

Result<std::unique_ptr<Journal>> RocksJournal::open(const std::string& directory, Environment& environment) {
  std::unique_ptr<RocksJournal> journal(new RocksJournal(directory + "/journal", environment.files()));
  if (auto error = journal->reopen()) return *std::move(error);
  return std::unique_ptr<Journal>(std::move(journal));
}

std::optional<Error> RocksJournal::reopen() {
  std::vector<RocksFamily> families;
  for (const char* name : kTableNames) families.push_back({name, rocks_family_options(true)});
  for (const Table queue : {Table::reminders, Table::outbox}) {
    // Rows come and go at the front: scans would wade through their tombstones.
    families[static_cast<std::size_t>(queue)].options.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(16'384, 8'192));
  }
  auto log = rocks_family_options(false);
  log.compaction_filter = forget_.get();
  log.compaction_style = rocksdb::kCompactionStyleUniversal;
  log.level_compaction_dynamic_level_bytes = false;
  log.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(2));
  families.push_back({"log", log});
  families.push_back({"heads", rocks_family_options(false)});

  const std::lock_guard lock(open_);
  files_ = RocksFiles();  // let go of the directory first
  auto files = open_rocks(path_, families, env_);
  if (!files) return files.error();
  files_ = std::move(*files);
  if (auto error = load_heads()) return error;
  const std::lock_guard state(state_);
  failed_.reset();
  return std::nullopt;
}

std::optional<Error> RocksJournal::load_heads() {
  std::array<Head, kShards> heads;
  const std::unique_ptr<rocksdb::Iterator> stored(files_.db->NewIterator({}, files_.families[kHeads]));
  for (stored->SeekToFirst(); stored->Valid(); stored->Next()) {
    const auto value = checked(stored->key(), stored->value());
    const auto head = value ? head_of(*value) : std::nullopt;
    if (!head || stored->key().size() != 2 || shard_of_key(stored->key()) >= kShards)
      return corrupt_error(
          path_, "a row of heads, " + readable(stored->key().ToStringView()) + ", fails its checksum");
    heads[shard_of_key(stored->key())] = *head;
  }
  if (!stored->status().ok()) return rocks_error(stored->status(), path_);

  const std::unique_ptr<rocksdb::Iterator> log(files_.db->NewIterator({}, files_.families[kLog]));
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    log->SeekForPrev(log_key(shard, ~std::uint64_t{0}));
    if (!log->status().ok()) return rocks_error(log->status(), path_);
    if (!log->Valid() || shard_of_key(log->key()) != shard) continue;
    const std::uint64_t last = sequence_of_key(log->key());
    if (last < heads[shard].first) continue;  // truncated, and not yet compacted away
    if (!checked(log->key(), log->value())) return damaged_record(shard, last);
    heads[shard].last = last;
  }
  for (std::uint32_t shard = 0; shard < kShards; ++shard) forget_->below(shard, heads[shard].first);
  const std::lock_guard lock(state_);
  heads_ = heads;
  return std::nullopt;
}

Error RocksJournal::damaged_record(std::uint32_t shard, std::uint64_t sequence) const {
  return corrupt_error(path_, "record " + std::to_string(sequence) + " of shard " + std::to_string(shard) +
                                  " fails its checksum");
}

std::optional<Error> RocksJournal::refusal() const {
  const std::lock_guard lock(state_);
  return failed_;
}

Error RocksJournal::fail(const rocksdb::Status& status) {
  const Error error = rocks_error(status, path_);
  const std::lock_guard lock(state_);
  if (!failed_) failed_ = error;
  return error;
}

std::optional<Error> RocksJournal::write(rocksdb::WriteBatch& batch, bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  const std::size_t bytes = batch.GetDataSize();
  if (const auto status = files_.db->Write(options, &batch); !status.ok()) return fail(status);
  bytes_written_.fetch_add(bytes, std::memory_order_relaxed);
  return std::nullopt;
}

std::optional<Error> RocksJournal::look_again() {
  if (!refusal()) return std::nullopt;
  auto error = reopen();
  if (error) {
    const std::lock_guard state(state_);
    failed_ = error;
  }
  return error;
}

std::vector<Result<Head>> RocksJournal::open(std::span<const std::uint32_t> shards,
                                             std::optional<std::uint64_t> epoch) {
  const std::lock_guard writer(writer_);
  if (auto error = look_again()) return std::vector<Result<Head>>(shards.size(), *error);
  const std::shared_lock users(open_);
  std::vector<Result<Head>> results;
  rocksdb::WriteBatch batch;
  for (const std::uint32_t shard : shards) {
    Head head = heads_.at(shard);
    if (epoch && *epoch < head.epoch) {
      results.emplace_back(fenced(shard, "was opened in epoch " + std::to_string(head.epoch) +
                                             ", after epoch " + std::to_string(*epoch)));
      continue;
    }
    head.epoch = epoch.value_or(head.epoch + 1);
    put_head(batch, files_, shard, head);
    results.emplace_back(head);
  }
  if (batch.Count() == 0) return results;
  const auto error = write(batch, true);
  const std::lock_guard state(state_);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (!results[i]) continue;
    if (error)
      results[i] = *error;
    else
      heads_[shards[i]] = *results[i];
  }
  return results;
}

std::vector<std::optional<Error>> RocksJournal::append(std::span<const Append> appends, bool sync) {
  const std::lock_guard writer(writer_);
  if (const auto error = refusal()) return std::vector<std::optional<Error>>(appends.size(), error);
  const std::shared_lock users(open_);
  std::vector<std::optional<Error>> results(appends.size());
  rocksdb::WriteBatch batch;
  for (const auto& append : appends) next_.at(append.shard) = heads_[append.shard].last;
  for (std::size_t i = 0; i < appends.size(); ++i) {
    const Append& append = appends[i];
    std::uint64_t& last = next_[append.shard];
    if (const std::uint64_t epoch = heads_[append.shard].epoch; append.epoch != epoch) {
      results[i] = fenced(append.shard, "is open in epoch " + std::to_string(epoch) + ", not in " +
                                            std::to_string(append.epoch));
      continue;
    }
    if (append.after != last) {
      results[i] = fenced(append.shard, "stands at record " + std::to_string(last) + ", not at " +
                                            std::to_string(append.after));
      continue;
    }
    for (const auto& record : append.records)
      put(batch, files_.families[kLog], log_key(append.shard, ++last), record);
    put_writes(batch, files_, append.shard, append.writes);
  }
  if (batch.Count() == 0) return results;
  if (const auto error = write(batch, sync)) {
    for (auto& result : results)
      if (!result) result = error;
    return results;
  }
  const std::lock_guard state(state_);
  for (const auto& append : appends) heads_[append.shard].last = next_[append.shard];
  return results;
}

std::optional<Error> RocksJournal::sync() {
  if (auto error = refusal()) return error;
  const std::shared_lock users(open_);
  if (!files_.db) return refusal();
  if (const auto status = files_.db->SyncWAL(); !status.ok()) return fail(status);
  return std::nullopt;
}

Result<Head> RocksJournal::head(std::uint32_t shard) const {
  const std::lock_guard lock(state_);
  return heads_.at(shard);
}

std::optional<Error> RocksJournal::read(std::uint32_t shard, std::uint64_t after,
                                        const VisitRecord& visit) const {
  const std::shared_lock users(open_);
  if (!files_.db) return refusal();
  const auto head_now = [&] {
    const std::lock_guard lock(state_);
    return heads_.at(shard);
  };
  // The iterator sees the log as it is between the two: up to `last` at least, and from `first` at most.
  const std::uint64_t last = head_now().last;
  const RowsOf log(files_, kLog, shard, nullptr);
  return read_from(*log.rows, shard, std::max(after + 1, head_now().first), last, visit);
}

std::optional<Error> RocksJournal::read_from(rocksdb::Iterator& log, std::uint32_t shard,
                                             std::uint64_t sequence, std::uint64_t last,
                                             const VisitRecord& visit) const {
  for (log.Seek(log_key(shard, sequence)); log.Valid(); log.Next(), ++sequence) {
    if (sequence_of_key(log.key()) != sequence) break;
    const auto record = checked(log.key(), log.value());
    if (!record) return damaged_record(shard, sequence);
    if (!visit(sequence, *record)) return std::nullopt;
  }
  if (!log.status().ok()) return rocks_error(log.status(), path_);
  if (log.Valid() || sequence <= last)
    return corrupt_error(
        path_, "record " + std::to_string(sequence) + " of shard " + std::to_string(shard) + " is missing");
  return std::nullopt;
}

std::vector<Result<std::optional<std::string>>> RocksJournal::get(Table table,
                                                                  std::span<const RowKey> keys) const {
  const std::shared_lock users(open_);
  if (!files_.db)
    return std::vector<Result<std::optional<std::string>>>(keys.size(), refusal().value_or(Error{}));
  std::vector<std::string> rows;
  rows.reserve(keys.size());
  for (const auto& key : keys) rows.push_back(row_key(key.shard, key.key));
  const std::vector<rocksdb::Slice> slices(rows.begin(), rows.end());
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  files_.db->MultiGet({}, files_.families[static_cast<std::size_t>(table)], keys.size(), slices.data(),
                      values.data(), statuses.data());
  std::vector<Result<std::optional<std::string>>> results;
  results.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) {
      results.emplace_back(std::nullopt);
    } else if (!statuses[i].ok()) {
      results.emplace_back(rocks_error(statuses[i], path_));
    } else if (const auto value = checked(slices[i], values[i])) {
      results.emplace_back(std::string(*value));
    } else {
      results.emplace_back(damaged_row(table, keys[i].shard, keys[i].key));
    }
  }
  return results;
}

Error RocksJournal::damaged_row(Table table, std::uint32_t shard, std::string_view key) const {
  return corrupt_error(path_, "row " + readable(key) + " of shard " + std::to_string(shard) + " in " +
                                  kTableNames[static_cast<std::size_t>(table)] + " fails its checksum");
}

std::optional<Error> RocksJournal::scan(Table table, std::uint32_t shard, std::string_view from,
                                        const VisitRow& visit) const {
  const std::shared_lock users(open_);
  if (!files_.db) return refusal();
  return scan_at(nullptr, table, shard, from, visit);
}

std::optional<Error> RocksJournal::scan_at(const rocksdb::Snapshot* at, Table table, std::uint32_t shard,
                                           std::string_view from, const VisitRow& visit) const {
  const RowsOf part(files_, static_cast<std::size_t>(table), shard, at);
  auto* const rows = part.rows.get();
  for (rows->Seek(row_key(shard, from)); rows->Valid(); rows->Next()) {
    const std::string_view key = rows->key().ToStringView().substr(2);
    const auto value = checked(rows->key(), rows->value());
    if (!value) return damaged_row(table, shard, key);
    if (!visit(key, *value)) return std::nullopt;
  }
  if (!rows->status().ok()) return rocks_error(rows->status(), path_);
  return std::nullopt;
}

std::optional<Error> RocksJournal::truncate(std::uint32_t shard, std::uint64_t upto,
                                            std::span<const Write> bases) {
  const std::lock_guard writer(writer_);
  if (auto error = refusal()) return error;
  const std::shared_lock users(open_);
  Head head = heads_.at(shard);
  head.first = std::max(head.first, std::min(upto, head.last) + 1);
  rocksdb::WriteBatch batch;
  put_writes(batch, files_, shard, bases);
  put_head(batch, files_, shard, head);
  // Synced: a compaction may forget the records for good as soon as this returns.
  if (auto error = write(batch, true)) return error;
  forget_->below(shard, head.first);
  const std::lock_guard state(state_);
  heads_[shard] = head;
  return std::nullopt;
}

std::optional<Error> RocksJournal::recover() {
  const std::lock_guard writer(writer_);
  return look_again();
}

std::optional<Error> RocksJournal::replay(std::span<const Replayed> steps, std::span<const Write> own) {
  const std::lock_guard writer(writer_);
  if (auto error = refusal()) return error;
  const std::shared_lock users(open_);
  rocksdb::WriteBatch batch;
  bool forgets = false;
  for (const auto& step : steps) {
    const Head& before = heads_.at(step.shard);
    std::uint64_t sequence = step.after;
    for (const auto record : step.records)
      put(batch, files_.families[kLog], log_key(step.shard, ++sequence), record);
    for (const auto& row : step.rows) put_row(batch, files_, step.shard, row.table, row.key, row.value);
    if (step.head.epoch != before.epoch || step.head.first != before.first)
      put_head(batch, files_, step.shard, step.head);
    forgets = forgets || step.head.first != before.first;
  }
  put_writes(batch, files_, kShards, own);
  if (batch.Count() > 0)
    if (auto error = write(batch, forgets)) return error;
  for (const auto& step : steps) forget_->below(step.shard, step.head.first);
  const std::lock_guard state(state_);
  for (const auto& step : steps) heads_[step.shard] = step.head;
  return std::nullopt;
}

std::optional<Error> RocksJournal::clear(std::uint32_t shard, std::span<const Write> own) {
  const std::lock_guard writer(writer_);
  if (auto error = refusal()) return error;
  const std::shared_lock users(open_);
  rocksdb::WriteBatch batch;
  for (std::size_t family = 0; family < files_.families.size(); ++family) {
    // RocksDB 7.8 mixes up ranges and records in a family that inserts by hints of prefixes.
    if (family != kLog)
      batch.DeleteRange(files_.families[family], row_key(shard, {}), row_key(shard + 1, {}));
  }
  put_writes(batch, files_, kShards, own);
  if (auto error = write(batch, true)) return error;
  forget_->below(shard, 0);
  const std::lock_guard state(state_);
  heads_.at(shard) = Head{};
  return std::nullopt;
}

std::optional<Error> RocksJournal::image(std::uint32_t shard, std::string_view own_key,
                                         const std::function<std::optional<Error>(const Image&)>& use) const {
  const std::shared_lock users(open_);
  if (!files_.db) return refusal();
  auto* const db = files_.db.get();
  const std::unique_ptr<const rocksdb::Snapshot, std::function<void(const rocksdb::Snapshot*)>> at(
      db->GetSnapshot(), [db](const rocksdb::Snapshot* snapshot) { db->ReleaseSnapshot(snapshot); });
  rocksdb::ReadOptions options;
  options.snapshot = at.get();
  const auto value_of = [&](std::size_t family,
                            const std::string& key) -> Result<std::optional<std::string>> {
    std::string stored;
    const auto status = db->Get(options, files_.families[family], key, &stored);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return rocks_error(status, path_);
    const auto value = checked(key, stored);
    if (!value) return corrupt_error(path_, "row " + readable(key) + " fails its checksum");
    return std::optional<std::string>(*value);
  };
  Image image;
  const auto head = value_of(kHeads, row_key(shard, {}));
  if (!head) return head.error();
  if (*head) image.head = head_of(**head).value_or(Head{});
  const RowsOf log(files_, kLog, shard, at.get());
  log.rows->SeekToLast();
  if (!log.rows->status().ok()) return rocks_error(log.rows->status(), path_);
  if (log.rows->Valid() && log.rows->key().size() == 10 && shard_of_key(log.rows->key()) == shard)
    image.head.last = std::max(image.head.last, sequence_of_key(log.rows->key()));
  auto own = value_of(static_cast<std::size_t>(Table::meta), row_key(kShards, own_key));
  if (!own) return own.error();
  image.own = std::move(*own);
  image.records = [&](const VisitRecord& visit) {
    return read_from(*log.rows, shard, image.head.first, image.head.last, visit);
  };
  image.rows = [&](Table table, const VisitRow& visit) { return scan_at(at.get(), table, shard, {}, visit); };
  return use(image);
}

}  // namespace cx
