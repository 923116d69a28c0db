#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "runtime/address.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/journal/journal.hpp"
#include "runtime/journal/rocks.hpp"

namespace cx {

/// The journal of a node that stands alone: one RocksDB directory, one writer at a time. README.md describes
/// the format. Where each shard stands is kept in memory, one Head for each of kShards.
class RocksJournal final : public Journal {
 public:
  /// Opens `directory`/journal. Reads where each shard stands and nothing else.
  static Result<std::unique_ptr<Journal>> open(const std::string& directory, Environment& environment);
  ~RocksJournal() override;

  std::vector<Result<Head>> open(std::span<const std::uint32_t> shards,
                                 std::optional<std::uint64_t> epoch) override;
  std::vector<std::optional<Error>> append(std::span<const Append> appends, bool sync) override;
  std::optional<Error> sync() override;
  Result<Head> head(std::uint32_t shard) const override;
  std::optional<Error> read(std::uint32_t shard, std::uint64_t after,
                            const VisitRecord& visit) const override;
  std::vector<Result<std::optional<std::string>>> get(Table table,
                                                      std::span<const RowKey> keys) const override;
  std::optional<Error> scan(Table table, std::uint32_t shard, std::string_view from,
                            const VisitRow& visit) const override;
  std::optional<Error> truncate(std::uint32_t shard, std::uint64_t upto,
                                std::span<const Write> bases) override;
  std::uint64_t bytes_written() const override { return bytes_written_.load(std::memory_order_relaxed); }

  // For the copy of a log that is kept, and decided about, elsewhere (replica.hpp). Rows of shard kShards are
  // the copy's own: they belong to no shard.

  struct RowView {
    Table table;
    std::string_view key;
    std::optional<std::string_view> value;
  };
  /// What was done to a shard elsewhere, and where it stands then.
  struct Replayed {
    std::uint32_t shard = 0;
    Head head;
    std::uint64_t after = 0;  ///< the records are numbered from the next on
    std::vector<std::string_view> records;
    std::vector<RowView> rows;
  };
  /// Writes steps in order, and the copy's own rows, all of it or nothing. Nothing is refused; synced only
  /// when records are forgotten, so a loss of power may take the latest calls back, whole and in order.
  std::optional<Error> replay(std::span<const Replayed> steps, std::span<const Write> own);
  /// Forgets a shard's rows, epoch and first, and writes the rows of `own`. Its records stay until the same
  /// or others are replayed.
  std::optional<Error> clear(std::uint32_t shard, std::span<const Write> own);
  /// Opens the files again if a write failed; what is found in them counts.
  std::optional<Error> recover();

  /// All of a shard as of one moment, whatever is written meanwhile.
  struct Image {
    Head head;
    std::optional<std::string> own;  ///< the copy's own row of table meta at the key that was asked for
    std::function<std::optional<Error>(const VisitRecord&)> records;
    std::function<std::optional<Error>(Table, const VisitRow&)> rows;
  };
  /// The functions of the image are good until `use` returns; so is its result.
  std::optional<Error> image(std::uint32_t shard, std::string_view own_key,
                             const std::function<std::optional<Error>(const Image&)>& use) const;

 private:
  class Forget;
  RocksJournal(std::string path, rocksdb::Env& env);

  std::optional<Error> reopen();
  std::optional<Error> load_heads();
  std::optional<Error> refusal() const;
  Error fail(const rocksdb::Status& status);
  std::optional<Error> write(rocksdb::WriteBatch& batch, bool sync);
  std::optional<Error> look_again();
  std::optional<Error> read_from(rocksdb::Iterator& log, std::uint32_t shard, std::uint64_t sequence,
                                 std::uint64_t last, const VisitRecord& visit) const;
  std::optional<Error> scan_at(const rocksdb::Snapshot* at, Table table, std::uint32_t shard,
                               std::string_view from, const VisitRow& visit) const;
  Error damaged_record(std::uint32_t shard, std::uint64_t sequence) const;
  Error damaged_row(Table table, std::uint32_t shard, std::string_view key) const;

  const std::string path_;
  rocksdb::Env& env_;
  const std::unique_ptr<Forget> forget_;  // before files_, which refer to it

  // Locked in this order.
  std::mutex writer_;               // held by whoever writes
  mutable std::shared_mutex open_;  // guards files_: shared by users, held alone to reopen them
  RocksFiles files_;
  mutable std::mutex state_;  // guards the two below; heads_ changes only under writer_ as well
  std::array<Head, kShards> heads_;
  std::optional<Error> failed_;  // what a write failed with; nothing is written until reopen()

  std::array<std::uint64_t, kShards> next_{};  // under writer_: `last` with what the append under way adds
  std::atomic<std::uint64_t> bytes_written_{0};
};

}  // namespace cx
