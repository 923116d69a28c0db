#include "runtime/journal/replica.hpp"

#include <algorithm>
#include <rocksdb/db.h>
#include <set>
#include <spdlog/spdlog.h>
#include <utility>

namespace cx {
namespace {

// The copy's own rows of table meta, besides one for each shard.
constexpr const char* kOrigin = "origin";
constexpr const char* kThrough = "through";
constexpr const char* kDamaged = "damaged";

constexpr std::size_t kPiece = std::size_t{1} << 18;  // of a checkpoint, bytes

std::string numbers(std::initializer_list<std::uint64_t> values) {
  std::string bytes;
  for (const std::uint64_t value : values)
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::uint64_t number(std::string_view bytes, std::size_t index) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = (value << 8) | static_cast<std::uint8_t>(bytes[8 * index + i]);
  return value;
}

/// Of a shard's row: as long as no name above.
std::string place_key(std::uint32_t shard) {
  return {static_cast<char>(shard >> 8), static_cast<char>(shard)};
}

Write place_row(std::uint32_t shard, const Replica::Place& place) {
  return {Table::meta, place_key(shard), numbers({place.applied, place.since, place.base, place.attempt})};
}

Write own_row(const char* name, std::string value) {
  return {Table::meta, name, std::move(value)};
}

Error differs(std::uint32_t shard, const std::string& why) {
  return {Code::internal, "corrupt",
          "The copy of shard " + std::to_string(shard) + " on this node is not what the stream has: " + why +
              ". Restart the node: it makes its copy anew from the stream.",
          ""};
}

}  // namespace

/// What becomes one write.
struct Replica::Batch {
  std::vector<RocksJournal::Replayed> steps;
  std::vector<v1::ShardEntry> wholes;  // of parts; steps refer to them
  std::vector<Write> own;
  std::set<std::uint32_t> touched;
  Taken taken;
};

Result<v1::ShardEntry> parse_entry(std::string_view bytes) {
  v1::ShardEntry entry;
  if (entry.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return entry;
  return Error{Code::internal, "corrupt", "A message of the journal's stream cannot be read.", ""};
}

bool PieceCutter::record(std::string_view record) {
  part_.add_records(record.data(), record.size());
  return added(record.size());
}

bool PieceCutter::row(Table table, std::string_view key, std::string_view value) {
  auto& row = *part_.add_rows();
  row.set_table(static_cast<std::uint32_t>(table));
  row.set_key(key.data(), key.size());
  row.set_value(value.data(), value.size());
  return added(key.size() + value.size());
}

bool PieceCutter::added(std::size_t bytes) {
  if (refused_) return false;
  if ((size_ += bytes) < kPiece) return true;
  size_ = 0;
  refused_ = piece_(std::exchange(part_, {}));
  return !refused_;
}

std::optional<Error> PieceCutter::finish() {
  return refused_ ? refused_ : piece_(std::exchange(part_, {}));
}

Result<std::unique_ptr<Replica>> Replica::open(const std::string& directory, Environment& environment,
                                               bool fenced) {
  for (bool again = false;; again = true) {
    std::unique_ptr<Replica> replica(new Replica(fenced));
    replica->directory_ = directory + "/journal";
    auto opened = RocksJournal::open(directory, environment);
    std::string why;
    if (opened) {
      replica->rocks_.reset(static_cast<RocksJournal*>(opened->release()));
      auto error = replica->load();
      if (!error) return replica;
      if (error->type != "corrupt" || again) return std::move(*error);
      why = error->detail;
    } else if (opened.error().type != "corrupt" || again) {
      return opened.error();
    } else {
      why = opened.error().detail;
    }
    spdlog::warn("{} is made anew from the stream: {}", replica->directory_, why);
    replica->rocks_.reset();
    rocksdb::Options options;
    options.env = &environment.files();
    if (const auto status = rocksdb::DestroyDB(replica->directory_, options); !status.ok())
      return rocks_error(status, replica->directory_);
  }
}

std::optional<Error> Replica::load() {
  const std::lock_guard lock(mutex_);
  places_ = {};
  parts_.clear();
  damage_.clear();
  through_ = {};
  std::optional<Error> error;
  auto failed = rocks_->scan(Table::meta, kShards, "", [&](std::string_view key, std::string_view value) {
    if (key == kOrigin) {
      origin_ = value;
    } else if (key == kThrough && value.size() == 16) {
      through_ = {number(value, 0), number(value, 1)};
    } else if (key == kDamaged) {
      error = Error{Code::internal, "corrupt", std::string(value), ""};
    } else if (key.size() == 2 && value.size() == 32) {
      const auto shard =
          (std::uint32_t{static_cast<std::uint8_t>(key[0])} << 8) | static_cast<std::uint8_t>(key[1]);
      if (shard >= kShards) return true;
      Place& place = places_[shard];
      place.seen = place.applied = number(value, 0);
      place.since = number(value, 1);
      place.base = number(value, 2);
      place.attempt = number(value, 3);
    }
    return true;
  });
  if (failed) return failed;
  if (error) return error;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    const auto head = rocks_->head(shard);
    if (!head) return head.error();
    // What has no place is the beginning of a restore that was not finished.
    if (places_[shard].applied > 0) places_[shard].head = *head;
  }
  failed_.reset();
  return std::nullopt;
}

std::optional<Error> Replica::set_origin(const std::string& origin) {
  const Write row = own_row(kOrigin, origin);
  if (auto error = rocks_->replay({}, std::span(&row, 1))) return error;
  origin_ = origin;
  return std::nullopt;
}

Replica::Place Replica::place(std::uint32_t shard) const {
  const std::lock_guard lock(mutex_);
  return places_.at(shard);
}

Replica::Through Replica::through() const {
  const std::lock_guard lock(mutex_);
  return through_;
}

std::optional<Error> Replica::damage(std::uint32_t shard) const {
  const std::lock_guard lock(mutex_);
  if (failed_) return failed_;
  if (damage_.empty()) return std::nullopt;
  const auto found = damage_.find(shard);
  return found == damage_.end() ? std::nullopt : std::optional(found->second);
}

bool Replica::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_.has_value();
}

std::optional<Error> Replica::reload() {
  if (auto error = rocks_->recover()) return error;
  return load();
}

void Replica::distrust(std::uint32_t shard, const std::string& why) {
  const std::lock_guard lock(mutex_);
  std::vector<Write> own;
  distrust_locked(shard, why, own);
  (void)rocks_->replay({}, own);  // if the disk fails, the next start finds that out as well
}

void Replica::distrust_locked(std::uint32_t shard, const std::string& why, std::vector<Write>& own) {
  const auto [found, added] = damage_.emplace(shard, differs(shard, why));
  if (!added) return;
  spdlog::error("{}", found->second.detail);
  own.push_back(own_row(kDamaged, found->second.detail));
  moved_.notify_all();
}

bool Replica::wait(std::uint32_t shard, std::uint64_t sequence,
                   std::chrono::steady_clock::time_point until) const {
  std::unique_lock lock(mutex_);
  const Place& place = places_.at(shard);
  moved_.wait_until(lock, until, [&] {
    const auto damage = damage_.find(shard);
    return place.seen >= sequence || failed_ || (damage != damage_.end() && damage->second.type == "corrupt");
  });
  return place.seen >= sequence;
}

Replica::Taken Replica::take(std::span<const LogMessage> messages, std::optional<Through> through) {
  const std::lock_guard lock(mutex_);
  if (failed_) return {{}, {}, failed_};
  Batch batch;
  batch.wholes.reserve(messages.size());  // steps refer into it
  for (const auto& message : messages) take_one(message, batch);
  for (const std::uint32_t shard : batch.touched)
    if (!parts_.contains(shard)) batch.own.push_back(place_row(shard, places_[shard]));
  if (through && batch.taken.gaps.empty() && through->sequence > through_.sequence) {
    // Parts that wait for the rest have to be read again after a restart.
    const auto oldest = std::ranges::min_element(
        parts_, [](const auto& a, const auto& b) { return a.second.first < b.second.first; });
    if (oldest == parts_.end() || oldest->second.first > through->sequence) {
      through_ = *through;
      batch.own.push_back(own_row(kThrough, numbers({through->sequence, through->checksum})));
    }
  }
  if (!batch.steps.empty() || !batch.own.empty())
    if (auto error = rocks_->replay(batch.steps, batch.own)) {
      failed_ = error;
      batch.taken.error = std::move(error);
    }
  moved_.notify_all();
  return std::move(batch.taken);
}

void Replica::take_one(const LogMessage& message, Batch& batch) {
  Place& place = places_.at(message.shard);
  const auto& gaps = batch.taken.gaps;
  if (message.sequence <= place.seen || damage_.contains(message.shard)) return;
  if (std::ranges::find(gaps, message.shard) != gaps.end()) return;
  const v1::ShardEntry& entry = message.entry;
  if (fenced_ && entry.previous() > place.seen) {
    batch.taken.gaps.push_back(message.shard);
    return;
  }
  const std::string name = "message " + std::to_string(message.sequence);
  if (fenced_ && entry.previous() < place.seen) {
    distrust_locked(message.shard,
                    name + " follows message " + std::to_string(entry.previous()) + ", the copy has " +
                        std::to_string(place.seen),
                    batch.own);
    return;
  }
  if (fenced_ && entry.epoch() < place.head.epoch) {
    distrust_locked(message.shard,
                    name + " is of epoch " + std::to_string(entry.epoch()) + ", after epoch " +
                        std::to_string(place.head.epoch),
                    batch.own);
    return;
  }
  if (fenced_ && entry.after() > place.head.last) {
    batch.taken.gaps.push_back(message.shard);  // what a shard began with, from elsewhere
    return;
  }
  if (fenced_ && entry.after() < place.head.last) {
    distrust_locked(message.shard,
                    name + " follows record " + std::to_string(entry.after()) + ", the copy has " +
                        std::to_string(place.head.last),
                    batch.own);
    return;
  }
  place.seen = message.sequence;
  place.since += message.bytes;
  batch.touched.insert(message.shard);
  std::optional<v1::ShardEntry> whole;
  if (entry.parts() > 0) {
    if (!complete(message, whole, batch)) return;
    batch.wholes.push_back(std::move(*whole));
    apply(message.shard, batch.wholes.back(), batch);
  } else {
    parts_.erase(message.shard);
    apply(message.shard, entry, batch);
  }
  place.applied = place.seen;
  place.attempt = entry.attempt();
}

bool Replica::complete(const LogMessage& message, std::optional<v1::ShardEntry>& whole, Batch& batch) {
  const v1::ShardEntry& entry = message.entry;
  Parts& parts = parts_[message.shard];
  if (entry.part() == 0) parts = {message.sequence, entry.attempt(), 0, entry.parts(), {}};
  if (entry.attempt() != parts.attempt || entry.parts() != parts.of || entry.part() != parts.next) {
    parts_.erase(message.shard);  // of one that was given up: void
    places_[message.shard].applied = message.sequence;
    return false;
  }
  parts.bytes += entry.slice();
  if (++parts.next < parts.of) return false;
  auto parsed = parse_entry(parts.bytes);
  parts_.erase(message.shard);
  if (!parsed) {
    distrust_locked(message.shard, "message " + std::to_string(message.sequence) + " cannot be read",
                    batch.own);
    return false;
  }
  whole = std::move(*parsed);
  return true;
}

void Replica::apply(std::uint32_t shard, const v1::ShardEntry& entry, Batch& batch) {
  Head& head = places_[shard].head;
  head.epoch = std::max(head.epoch, entry.epoch());
  RocksJournal::Replayed step;
  step.shard = shard;
  const auto rows = [&](const auto& writes) {
    for (const auto& write : writes) {
      if (write.table() >= kTables) continue;  // of a later release
      step.rows.push_back({static_cast<Table>(write.table()), write.key(), std::nullopt});
      if (write.has_value()) step.rows.back().value = write.value();
    }
  };
  if (entry.has_commit()) {
    step.after = entry.after();
    step.records.assign(entry.commit().records().begin(), entry.commit().records().end());
    rows(entry.commit().writes());
    head.last = std::max(head.last, step.after + step.records.size());
    if (entry.commit().followed()) batch.taken.followed.push_back(shard);
  } else if (entry.has_truncation()) {
    rows(entry.truncation().bases());
    head.first = std::max(head.first, std::min(entry.truncation().upto(), head.last) + 1);
  }
  step.head = head;
  batch.steps.push_back(std::move(step));
}

std::optional<Error> Replica::begin_restore(std::uint32_t shard, std::uint64_t first) {
  const std::lock_guard lock(mutex_);
  if (failed_) return failed_;
  restoring_ = shard;
  restored_ = first - 1;
  damage_.insert_or_assign(
      shard, Error{Code::unavailable, "unavailable",
                   "Shard " + std::to_string(shard) +
                       " is being restored from a checkpoint on this node. Try again in a moment.",
                   ""});
  parts_.erase(shard);
  places_[shard] = {};
  const Write row{Table::meta, place_key(shard), std::nullopt};
  if (auto error = rocks_->clear(shard, std::span(&row, 1))) return failed_ = error;
  return std::nullopt;
}

std::optional<Error> Replica::restore(const v1::CheckpointPart& piece) {
  RocksJournal::Replayed step;
  step.shard = restoring_;
  step.after = restored_;
  step.records.assign(piece.records().begin(), piece.records().end());
  for (const auto& row : piece.rows())
    if (row.table() < kTables) step.rows.push_back({static_cast<Table>(row.table()), row.key(), row.value()});
  restored_ += step.records.size();
  if (auto error = rocks_->replay(std::span(&step, 1), {})) {
    const std::lock_guard lock(mutex_);
    return failed_ = error;
  }
  return std::nullopt;
}

std::optional<Error> Replica::end_restore(const v1::Checkpoint& checkpoint, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (restored_ != checkpoint.last() || checkpoint.shard() != restoring_)
    return Error{Code::internal, "corrupt",
                 "The checkpoint " + checkpoint.name() + " of shard " + std::to_string(restoring_) +
                     " is not complete.",
                 ""};
  RocksJournal::Replayed step;
  step.shard = restoring_;
  step.head = {checkpoint.epoch(), checkpoint.first(), checkpoint.last()};
  Place place{step.head, checkpoint.upto(), checkpoint.upto(), 0, bytes, 0};
  const Write row = place_row(restoring_, place);
  if (auto error = rocks_->replay(std::span(&step, 1), std::span(&row, 1))) return failed_ = error;
  places_[restoring_] = place;
  damage_.erase(restoring_);
  moved_.notify_all();
  return std::nullopt;
}

Result<v1::Checkpoint> Replica::image(std::uint32_t shard, const PieceCutter::Piece& piece) const {
  v1::Checkpoint checkpoint;
  auto error =
      rocks_->image(shard, place_key(shard), [&](const RocksJournal::Image& image) -> std::optional<Error> {
        checkpoint.set_shard(shard);
        checkpoint.set_upto(image.own && image.own->size() == 32 ? number(*image.own, 0) : 0);
        checkpoint.set_epoch(image.head.epoch);
        checkpoint.set_first(image.head.first);
        checkpoint.set_last(image.head.last);
        PieceCutter cutter(piece);
        auto failed =
            image.records([&](std::uint64_t, std::string_view record) { return cutter.record(record); });
        for (std::size_t table = 0; table < kTables && !failed; ++table)
          failed = image.rows(static_cast<Table>(table), [&](std::string_view key, std::string_view value) {
            return cutter.row(static_cast<Table>(table), key, value);
          });
        return failed ? failed : cutter.finish();
      });
  if (error) return std::move(*error);
  return checkpoint;
}

void Replica::checkpointed(std::uint32_t shard, std::uint64_t since, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  Place& place = places_.at(shard);
  place.since -= std::min(place.since, since);
  if (bytes > 0) place.base = bytes;
}

}  // namespace cx
