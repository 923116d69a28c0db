#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/projection/projection.hpp"
#include "runtime/projection/rocks_sink.hpp"

namespace cx::decision {

/// Decisions and what came of them as rows of a RocksDB directory (<data>/projections/decisions), where a
/// DecisionReader finds them. A row a decision, and after it one an outcome: either may come first, neither
/// needs to know of the other, and the same one again makes no difference.
///
///     TENANT 0 ID 0                        v1::Decision without id, time and outcomes
///     TENANT 0 ID 0 OUTCOME OUTCOME_ID     v1::ReportedOutcome; OUTCOME is the enum's number, a byte
///
/// What is older than what is kept is removed about every ten minutes, as decisions are made.
class DecisionBoard final : public Projection {
 public:
  /// `kept`: milliseconds.
  DecisionBoard(std::string path, rocksdb::Env& env, std::int64_t kept)
      : sink_(std::move(path), env), kept_(kept) {}

  const std::string& name() const override { return name_; }
  std::uint32_t version() const override { return 1; }
  Sink& sink() override { return sink_; }
  const RocksSink& rows() const { return sink_; }
  std::span<const std::string> kinds() const override { return kinds_; }
  std::optional<Error> project(std::span<const v1::JournalRecord> records) override;

 private:
  std::optional<Error> put_decisions(const v1::JournalRecord& record);
  std::optional<Error> put_outcomes(const v1::JournalRecord& record);
  std::optional<Error> forget_before(std::int64_t unix_ms);

  const std::string name_ = "decisions", kinds_[2] = {"customer", "decision"};
  RocksSink sink_;
  const std::int64_t kept_;
  std::int64_t forget_at_ = 0;  // Unix milliseconds, of the records
};

/// What a tenant's rows begin with; with the beginning of an id, where those from it on begin.
std::string row_key(std::string_view tenant, std::string_view id = {});
/// The parts of a row's key; the rest of an outcome's is not empty. Views of `key`.
struct RowName {
  std::string_view tenant, id, rest;
};
RowName parse_row_key(std::string_view key);

}  // namespace cx::decision
