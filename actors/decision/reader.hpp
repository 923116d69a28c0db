#pragma once

#include <cstdint>
#include <string>

#include "cx/v1/decision.pb.h"
#include "runtime/clock.hpp"
#include "runtime/environment/executor.hpp"
#include "runtime/projection/rocks_sink.hpp"
#include "runtime/services.hpp"

namespace cx::decision {

/// What is asked of the rows of a DecisionBoard. Thread-safe; blocks.
class DecisionReader {
 public:
  /// `kept`: milliseconds; what is older is not shown. All outlive the reader.
  DecisionReader(const RocksSink& rows, const Clock& clock, std::int64_t kept)
      : rows_(rows), clock_(clock), kept_(kept) {}

  // Errors of both: those of RocksSink::scan.

  /// not_found "no-such-decision".
  Result<v1::Decision> get(const std::string& tenant, const v1::GetDecision& request) const;
  /// The newest first. A page ends when it is full, or has some 3 MB, or 100,000 rows were looked at.
  /// invalid_argument "invalid-time", "invalid-time-range", "invalid-page-token".
  Result<v1::DecisionPage> list(const std::string& tenant, const v1::ListDecisions& request) const;

 private:
  const RocksSink& rows_;
  const Clock& clock_;
  const std::int64_t kept_;
};

/// Serves Get and List of cx.v1.Decisions on threads of `executor`. All outlive the services.
void add_decisions(Services& services, const DecisionReader& reader, Executor& executor);

}  // namespace cx::decision
