#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/journey/lifecycle.hpp"
#include "cx/v1/journey.pb.h"
#include "runtime/projection/sqlite_reader.hpp"

namespace cx::journey {

/// What is asked of the file that a JourneyBoard fills. Thread-safe; blocks. Errors of all: those of
/// SqliteReader; `deadline` as there.
class RunLists {
 public:
  /// The clock outlives the lists.
  RunLists(std::string path, const Clock& clock) : reader_(std::move(path), clock) {}

  /// The last changed first. One that changes while its list is read moves to the front, and so to pages that
  /// were read before; all others are on one page each. invalid_argument "invalid-page-token".
  Result<v1::JourneyRunPage> list(const std::string& tenant, const v1::ListJourneyRuns& request,
                                  std::int64_t deadline) const;

  struct Counts {
    v1::RunCounts runs;
    std::vector<v1::StepCounts> steps;  ///< a step once, all revisions together: the newest revision's first
  };
  /// Nothing of a journey that nobody was ever in, also before there is a file.
  Result<Counts> counts(const std::string& tenant, const std::string& journey, std::int64_t deadline) const;

  // What the Reconciler asks, of all tenants.

  /// How many runs of a journey that are not over have a status; not those that are none.
  struct Open {
    std::string tenant, journey;
    v1::RunStatus status;
    std::int64_t runs;
  };
  Result<std::vector<Open>> open() const;
  /// Addresses of instances of that status after a place, those first that have not changed for longest.
  struct Place {
    std::int64_t changed = 0, number = 0;
  };
  Result<std::vector<std::string>> addresses(const Open& of, Place& after, std::int64_t limit) const;

 private:
  SqliteReader reader_;
};

/// Serves Status and ListRuns of cx.v1.Journeys on threads of `executor`. All outlive the services.
void add_reports(Services& services, const RunLists& lists, const Lifecycle& lifecycle,
                 const Catalog& catalog, Executor& executor);

}  // namespace cx::journey
