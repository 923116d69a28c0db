#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "cx/v1/journey.pb.h"
#include "runtime/entity/kind.hpp"
#include "runtime/projection/projection.hpp"
#include "runtime/projection/sqlite_sink.hpp"

namespace cx::journey {

/// Every journey instance as a row of an SQLite file (<data>/projections/journeys.db), and how many passed
/// each step, where RunLists finds them. A row holds what is left of an instance's state without its path,
/// memory and event, and the instance's own apply carries it from event to event.
///
/// Counts are those of all records that it ever saw. Built anew from a log that was truncated they are those
/// of what is left: of what is gone an instance remembers its last 200 notes.
class JourneyBoard final : public Projection {
 public:
  explicit JourneyBoard(std::string path);
  ~JourneyBoard() override;

  const std::string& name() const override { return name_; }
  std::uint32_t version() const override { return 1; }
  Sink& sink() override { return file_; }
  std::span<const std::string> kinds() const override { return {&kind_->name(), 1}; }
  std::optional<Error> project(std::span<const v1::JournalRecord> records) override;
  bool uses_bases() const override { return true; }
  std::optional<Error> project_base(const v1::Snapshot& base) override;

 private:
  /// The file, to which what a transaction changes is written at its end: most of it is about few runs and
  /// steps.
  class File final : public Sink {
   public:
    File(JourneyBoard& board, std::string path);
    Result<Position> load() override { return rows.load(); }
    std::optional<Error> reset(std::uint32_t version) override { return rows.reset(version); }
    std::optional<Error> begin() override;
    std::optional<Error> commit(std::span<const CursorMove> moves) override;
    void rollback() override;
    std::optional<Error> sync() override { return rows.sync(); }
    SqliteSink rows;

   private:
    JourneyBoard& board_;
  };
  struct Run;
  struct Steps {
    std::int64_t entered = 0, there = 0, sent = 0, refused = 0, failed = 0;
  };
  using StepKey =
      std::tuple<std::string, std::string, std::uint64_t, std::string>;  // tenant, journey, revision, step
  using CountKey = std::tuple<std::string, std::string, int>;            // tenant, journey, status

  Result<Run*> run_of(const std::string& address);
  std::optional<Error> fold(const v1::JournalRecord& record);
  /// Counts the run in (1) or out (-1), where it is.
  void place(const Run& run, std::int64_t by);
  Steps& steps_of(const Run& run, const std::string& step);
  void count_message(const Run& run, const std::string& step, std::string_view what);
  std::optional<Error> flush();
  void forget();

  const std::string name_ = "journeys";
  const std::unique_ptr<EntityKind> kind_;
  File file_;
  // Of the transaction.
  std::map<std::string, std::unique_ptr<Run>, std::less<>> runs_;  // by address
  std::map<StepKey, Steps> steps_;
  std::map<CountKey, std::int64_t> counts_;
};

}  // namespace cx::journey
