#include "runtime/projection/runner.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <thread>

namespace cx {

using std::chrono::milliseconds;

namespace {

/// Whether a serialised v1::JournalRecord is of one of the kinds, or cannot be told. Reads no more of it than
/// the fields before the entity, which comes early.
bool wants(std::span<const std::string> kinds, std::string_view record) {
  if (kinds.empty()) return true;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(record.data()),
                                            static_cast<int>(record.size()));
  using google::protobuf::internal::WireFormatLite;
  for (auto tag = in.ReadTag(); tag != 0; tag = in.ReadTag()) {
    if (WireFormatLite::GetTagFieldNumber(tag) != v1::JournalRecord::kEntityFieldNumber) {
      if (!WireFormatLite::SkipField(&in, tag)) return true;
      continue;
    }
    std::uint32_t size = 0;
    const auto at = in.ReadVarint32(&size) ? static_cast<std::size_t>(in.CurrentPosition()) : record.size();
    const auto entity = record.substr(std::min(at, record.size()), size);
    const auto kind = entity.substr(0, entity.find('/'));
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }
  return true;
}

}  // namespace

Runner::Runner(Projection& projection, Journal& journal, Executor& executor, const Clock& clock,
               const ProjectorOptions& options)
    : projection_(projection),
      journal_(journal),
      clock_(clock),
      options_(options),
      measured_at_(clock.steady()),
      task_(executor, [this] { return turn(); }) {
  now_.name = projection.name();
  now_.version = projection.version();
  now_.state = "opening";
  status_ = now_;
  task_.wake();
}

void Runner::notify(std::uint32_t shard) {
  const auto bit = std::uint64_t{1} << (shard % 64);
  // The note of somebody else that is still there will be read after this record became visible.
  if ((notified_[shard / 64].fetch_or(bit, std::memory_order_acq_rel) & bit) == 0) task_.wake();
}

void Runner::poll() {
  {
    const std::lock_guard lock(mutex_);
    notes_.poll = true;
  }
  task_.wake();
}

void Runner::pause(bool paused) {
  {
    const std::lock_guard lock(mutex_);
    notes_.paused = paused;
  }
  task_.wake();
}

void Runner::rebuild() {
  {
    const std::lock_guard lock(mutex_);
    notes_.rebuild = true;
  }
  task_.wake();
}

std::optional<Error> Runner::skip(std::uint32_t shard, std::uint64_t sequence) {
  {
    const std::lock_guard lock(mutex_);
    const auto& stuck = status_.stuck;
    if (std::none_of(stuck.begin(), stuck.end(),
                     [&](const auto& s) { return s.shard == shard && s.sequence == sequence; }))
      return Error{Code::not_found, "no-such-record",
                   "Record " + std::to_string(sequence) + " of shard " + std::to_string(shard) +
                       " is not stuck. The projection's status lists those that are.",
                   ""};
    notes_.skips.push_back({shard, sequence});
  }
  task_.wake();
  return std::nullopt;
}

ProjectionStatus Runner::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

bool Runner::turn() {
  if (options_.gather.count() > 0) std::this_thread::sleep_for(options_.gather);
  Notes notes;
  {
    const std::lock_guard lock(mutex_);
    notes = notes_;
    notes_ = {.paused = notes.paused, .poll = false, .rebuild = false, .skips = {}};
  }
  for (std::uint32_t word = 0; word < notified_.size(); ++word)
    if (auto bits = notified_[word].exchange(0, std::memory_order_acq_rel))
      ready_ |= Shards(bits) << (word * 64);
  ready_ &= taken_;
  try {
    if (!loaded_ && due(sink_)) load();
    if (loaded_ && notes.rebuild) {
      notes.rebuild = false;
      if (auto error = reset())
        sink_failed(std::move(*error));
      else
        restart({});
    }
    if (loaded_)
      for (const auto& record : notes.skips) skip_now(record);
    if (loaded_ && notes.poll) poll_now();
    if (loaded_ && !notes.paused) step();
  } catch (const std::exception& e) {
    sink_failed({Code::internal, "projection-failed", projection_.name() + " threw: " + e.what(), ""});
  }
  publish(notes.paused);
  if (notes.rebuild) {  // the sink is not open: later
    const std::lock_guard lock(mutex_);
    notes_.rebuild = true;
  }
  return loaded_ && !notes.paused && (healthy().any() || suspect_to_try());
}

void Runner::load() {
  auto& sink = projection_.sink();
  auto position = sink.load();
  if (!position) return sink_failed(position.error());
  if (position->version != projection_.version()) {
    if (auto error = reset()) return sink_failed(std::move(*error));
    position->cursors = {};
  }
  if (auto error = sink.sync()) return sink_failed(std::move(*error));
  sink_.error.reset();
  restart(position->cursors);
}

std::optional<Error> Runner::reset() {
  // Nothing that is forgotten was needed by anybody else: the log keeps what truncation has left from now on.
  for (auto& cursor : durable_) cursor.store(0, std::memory_order_release);
  rebuilding_ = true;
  return projection_.sink().reset(projection_.version());
}

// Goes on from cursors that are durable.
void Runner::restart(const Cursors& cursors) {
  loaded_ = true;
  unsynced_ = false;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    leave(shard);
    taken_[shard] = projection_.takes(shard);
    if (taken_[shard]) restart(shard, cursors[shard]);
  }
}

void Runner::restart(std::uint32_t shard, std::uint64_t cursor) {
  cursors_[shard] = cursor;
  durable_[shard].store(cursor, std::memory_order_release);
  look(shard);
  ready_.set(shard);
}

// Forgets a shard, whose log is kept until it is known where it stands.
void Runner::leave(std::uint32_t shard) {
  suspects_.erase(shard);
  oldest_.erase(shard);
  unbased_.reset(shard);
  ready_.reset(shard);
  heads_[shard] = {};
  cursors_[shard] = 0;
  durable_[shard].store(0, std::memory_order_release);
}

// Takes note of shards that have come to this node, or gone.
void Runner::look_for_shards() {
  Shards came;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    const bool takes = projection_.takes(shard);
    if (takes == taken_[shard]) continue;
    came[shard] = takes;
    if (takes) continue;
    taken_.reset(shard);
    leave(shard);
  }
  if (came.none()) return;
  const auto position = projection_.sink().load();
  if (!position) return sink_failed(position.error());
  for (std::uint32_t shard = 0; shard < kShards; ++shard)
    if (came[shard]) {
      taken_.set(shard);
      restart(shard, position->cursors[shard]);
    }
}

// Finds out where the log of a shard stands; false when it cannot be projected now.
bool Runner::look(std::uint32_t shard) {
  const auto head = journal_.head(shard);
  auto& cursor = cursors_[shard];
  if (!head) {
    suspect(shard, 1, head.error());
  } else if (cursor > head->last) {
    suspect(shard, 1,
            {Code::internal, "projection-ahead",
             now_.name + " has projected record " + std::to_string(cursor) + " of shard " +
                 std::to_string(shard) + ", whose log ends at " + std::to_string(head->last) +
                 ": the log is older than the projection. Rebuild the projection.",
             ""});
  } else {
    heads_[shard] = *head;
    if (cursor + 1 < head->first) {
      if (cursor == 0 && projection_.uses_bases())
        unbased_.set(shard);
      else
        now_.missed += head->first - 1 - cursor;
      cursor = head->first - 1;
    }
    return true;
  }
  return false;
}

void Runner::poll_now() {
  look_for_shards();
  if (!loaded_) return;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    if (!taken_[shard]) continue;
    const auto suspect = suspects_.find(shard);
    if (suspect != suspects_.end() && !due(suspect->second)) continue;
    if (look(shard) && heads_[shard].last > cursors_[shard]) ready_.set(shard);
  }
  if (unsynced_ && clock_.steady() - synced_at_ >= options_.sync_every) {
    synced_at_ = clock_.steady();
    if (auto error = projection_.sink().sync()) return sink_failed(std::move(*error));
    unsynced_ = false;
    for (std::uint32_t shard = 0; shard < kShards; ++shard)
      if (taken_[shard]) durable_[shard].store(cursors_[shard], std::memory_order_release);
  }
  const std::chrono::duration<double> passed = clock_.steady() - measured_at_;
  if (passed.count() > 0) now_.per_second = static_cast<double>(now_.projected - measured_) / passed.count();
  measured_at_ = clock_.steady();
  measured_ = now_.projected;
  now_.lag_ms = oldest_age();
}

std::int64_t Runner::oldest_age() {
  auto oldest = clock_.unix_ms();
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    const auto cursor = cursors_[shard];
    if (heads_[shard].last <= cursor) continue;
    auto& [after, at] = oldest_.try_emplace(shard, ~std::uint64_t{0}, oldest).first->second;
    if (after != cursor) {
      after = cursor;
      (void)journal_.read(shard, cursor, [&at = at](std::uint64_t, std::string_view bytes) {
        v1::JournalRecord record;
        if (record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) at = record.now();
        return false;
      });
    }
    oldest = std::min(oldest, at);
  }
  return clock_.unix_ms() - oldest;
}

void Runner::skip_now(const CursorMove& record) {
  const auto found = suspects_.find(record.shard);
  if (found == suspects_.end() || cursors_[record.shard] + 1 != record.sequence) return;
  if (auto error = projection_.sink().begin()) return sink_failed(std::move(*error));
  if (unbased_[record.shard])
    (void)project_bases(record.shard);  // one that cannot be projected is given up, too
  if (commit({&record, 1})) suspects_.erase(record.shard);
}

// A shard with a batch that failed is tried alone, so that it takes back nothing but its own.
std::optional<std::uint32_t> Runner::suspect_to_try() const {
  for (const auto& [shard, suspect] : suspects_)
    if (ready_[shard] && due(suspect)) return shard;
  return std::nullopt;
}

Runner::Shards Runner::healthy() const {
  auto shards = ready_;
  for (const auto& [shard, _] : suspects_) shards.reset(shard);
  return shards;
}

void Runner::step() {
  const auto alone = suspect_to_try();
  const auto others = healthy();
  if (!alone && others.none()) return;
  if (auto error = projection_.sink().begin()) return sink_failed(std::move(*error));
  records_left_ = options_.batch;
  bytes_left_ = options_.batch_bytes;
  std::vector<CursorMove> moves;
  bool good = true;
  if (alone) {
    good = project(*alone, suspects_[*alone].limit, moves);
  } else {
    const auto first = next_;
    for (std::uint32_t n = 0; n < kShards && good && records_left_ > 0 && bytes_left_ > 0; ++n) {
      next_ = (first + n) % kShards;
      if (others[next_]) good = project(next_, options_.batch, moves);
    }
  }
  if (good && !moves.empty() && options_.sync_journal)
    if (auto error = journal_.sync()) return sink_failed(std::move(*error));
  if (good && !moves.empty()) {
    commit(moves);
    return;
  }
  projection_.sink().rollback();
  for (const auto& move : moves) ready_.set(move.shard);
}

// Adds what truncation has left of a shard to the transaction. Until it is committed the shard's cursor in
// the sink is 0, so that nothing more of the log is truncated.
std::optional<Error> Runner::project_bases(std::uint32_t shard) {
  std::optional<Error> error;
  v1::Snapshot base;
  const auto failure =
      journal_.scan(Table::bases, shard, "", [&](std::string_view key, std::string_view bytes) {
        if (base.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
          error = projection_.project_base(base);
        else
          error = Error{Code::internal, "corrupt",
                        "What truncation has left of " + std::string(key) +
                            " is not a cx.v1.Snapshot. Restore the log.",
                        ""};
        records_left_ -= std::min<std::size_t>(records_left_, 1);
        return !error;
      });
  return failure ? failure : error;
}

// Adds the next records of a shard to the transaction; false when that spoilt it.
bool Runner::project(std::uint32_t shard, std::size_t limit, std::vector<CursorMove>& moves) {
  if (!look(shard)) return true;
  limit = std::min(limit, records_left_);
  const auto after = cursors_[shard];
  std::size_t count = 0, passed = 0;  // records that it wants, and all
  bool drained = true;
  std::optional<Error> unreadable;
  const auto failure = journal_.read(shard, after, [&](std::uint64_t sequence, std::string_view bytes) {
    drained = false;
    if (count == limit || bytes_left_ == 0) return false;
    const bool wanted = sequence != after + passed + 1 || wants(projection_.kinds(), bytes);
    if (wanted && limit == 1 && passed > 0) return false;  // it may be stuck: it comes first in the next turn
    if (records_.size() == count) records_.emplace_back();
    if (wanted && (sequence != after + passed + 1 ||
                   !records_[count].ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))) {
      unreadable =
          Error{Code::internal, "corrupt",
                "Record " + std::to_string(after + passed + 1) + " of shard " + std::to_string(shard) +
                    " is missing or is not a cx.v1.JournalRecord. Restore the log, or skip the record.",
                ""};
      return false;
    }
    ++passed;
    if (wanted) ++count;
    bytes_left_ -= std::min(bytes_left_, bytes.size());
    drained = true;
    return true;
  });
  const bool bases = unbased_[shard];
  if (passed == 0 && (failure || unreadable || !bases)) {  // what follows good records is met again
    if (failure || unreadable)
      suspect(shard, 1, failure ? *failure : *unreadable);
    else
      ready_.reset(shard);
    return true;
  }
  std::optional<Error> error;
  try {
    if (bases) error = project_bases(shard);
    if (!error && count > 0) error = projection_.project({records_.data(), count});
  } catch (const std::exception& e) {
    error = Error{Code::internal, "projection-failed", now_.name + " threw: " + e.what(), ""};
  }
  if (error) {
    suspect(shard, std::max<std::size_t>(count, 1), std::move(*error));
    return false;
  }
  moves.push_back({shard, after + passed});
  records_left_ -= std::min(records_left_, count);
  if (drained && !failure) ready_.reset(shard);
  return true;
}

bool Runner::commit(std::span<const CursorMove> moves) {
  if (auto error = projection_.sink().commit(moves)) {
    sink_failed(std::move(*error));
    return false;
  }
  sink_ = {};
  unsynced_ = true;
  for (const auto& move : moves) {
    now_.projected += move.sequence - cursors_[move.shard];
    cursors_[move.shard] = move.sequence;
    unbased_.reset(move.shard);
    const auto suspect = suspects_.find(move.shard);
    if (suspect == suspects_.end()) continue;
    static_cast<Trouble&>(suspect->second) = {};
    suspect->second.limit *= 2;
    if (suspect->second.limit > options_.batch) suspects_.erase(suspect);
  }
  return true;
}

void Runner::suspect(std::uint32_t shard, std::size_t records, Error error) {
  auto& suspect = suspects_[shard];
  suspect.limit = 1;
  if (records == 1) {
    ready_.set(shard);
    return retry_later(suspect, std::move(error));
  }
  ++now_.failures;
  suspect.retry_at = {};  // one of them is to blame: at once, one by one
}

// Whether the last commit took place has to be read from the sink.
void Runner::sink_failed(Error error) {
  loaded_ = false;
  projection_.sink().rollback();
  retry_later(sink_, std::move(error));
}

void Runner::retry_later(Trouble& trouble, Error error) {
  ++now_.failures;
  const auto doublings = std::min(trouble.attempts++, 20U);
  const auto backoff = std::min(options_.max_backoff_ms, options_.min_backoff_ms << doublings);
  trouble.retry_at = clock_.steady() + milliseconds(backoff);
  trouble.error = std::move(error);
}

void Runner::publish(bool paused) {
  now_.lag_records = now_.total = 0;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    const auto& head = heads_[shard];
    now_.total += head.last + 1 - head.first;
    if (head.last > cursors_[shard]) now_.lag_records += head.last - cursors_[shard];
  }
  now_.done = now_.total - std::min(now_.total, now_.lag_records);
  if (now_.lag_records == 0) now_.lag_ms = 0;
  if (loaded_ && now_.lag_records == 0) rebuilding_ = false;
  now_.error = sink_.error;
  now_.state = paused        ? "paused"
               : sink_.error ? "failing"
               : !loaded_    ? "opening"
               : rebuilding_ ? "rebuilding"
                             : "running";
  now_.stuck.clear();
  for (const auto& [shard, suspect] : suspects_)
    if (suspect.error) now_.stuck.push_back({shard, cursors_[shard] + 1, suspect.attempts, *suspect.error});
  const std::lock_guard lock(mutex_);
  status_ = now_;
}

}  // namespace cx
