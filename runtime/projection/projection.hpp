#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cx/v1/journal.pb.h"
#include "runtime/address.hpp"
#include "runtime/error.hpp"

namespace cx {

/// For each shard the sequence of the last record that was projected; 0 for none.
using Cursors = std::array<std::uint64_t, kShards>;

struct CursorMove {
  std::uint32_t shard;
  std::uint64_t sequence;
};

/// Where the effects of a projection are kept, and with them how far it got: both are committed together, so
/// that each record has its effect once. One projection has one sink. Called by one thread at a time; every
/// method may block.
class Sink {
 public:
  struct Position {
    std::optional<std::uint32_t> version;  ///< of the projection that the effects are of; none in a new sink
    Cursors cursors{};
  };

  virtual ~Sink() = default;
  /// Opens the sink where that was not done, or failed, or a commit failed, and reads what is committed.
  virtual Result<Position> load() = 0;
  /// Forgets all effects and cursors.
  virtual std::optional<Error> reset(std::uint32_t version) = 0;

  /// Effects between begin() and commit() are one transaction. It need not survive a loss of power, as a loss
  /// takes back effects and cursors alike and they are made again, until sync() has returned. After a commit
  /// that failed it is load() that tells whether it took place.
  virtual std::optional<Error> begin() = 0;
  virtual std::optional<Error> commit(std::span<const CursorMove> moves) = 0;
  virtual void rollback() = 0;
  /// Makes what was committed survive a loss of power.
  virtual std::optional<Error> sync() = 0;
};

/// Builds something out of the records of all shards. Called by one thread at a time.
class Projection {
 public:
  virtual ~Projection() = default;
  /// 1 to 63 of a-z, 0-9 and '-'; unique.
  virtual const std::string& name() const = 0;
  /// Of what it builds and how. A sink that holds another version is reset, and filled from the start of the
  /// log.
  virtual std::uint32_t version() const = 0;
  virtual Sink& sink() = 0;
  /// The kinds of entities whose records it is made of; records of others are passed over. Empty: all kinds.
  virtual std::span<const std::string> kinds() const { return {}; }
  /// Puts the effects of records into the sink, in a transaction that the caller begins and commits. The
  /// records are of one shard, in order. The same records may come again after an error or a crash, in other
  /// portions, but never after they were committed. An error, or an exception, takes back the transaction.
  virtual std::optional<Error> project(std::span<const v1::JournalRecord> records) = 0;

  /// Whether it builds on what truncation has left of a log: then project_base() gets, before the first
  /// record of a shard, each entity whose records are gone, as it was after the last of them. Otherwise what
  /// is gone is missed.
  virtual bool uses_bases() const { return false; }
  /// As project(); in the same transaction as the shard's first records.
  virtual std::optional<Error> project_base(const v1::Snapshot&) { return std::nullopt; }

  /// Whether a shard's records are to be projected by this node now; asked about once a second, on any
  /// thread. Nothing is read of the others. A shard that comes goes on from the cursor that the sink then
  /// loads: where several nodes take turns, their sinks keep the cursors in one place.
  virtual bool takes(std::uint32_t) const { return true; }
};

}  // namespace cx
