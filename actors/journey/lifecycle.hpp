#pragma once

#include <mutex>
#include <string>

#include "actors/journey/catalog_book.hpp"
#include "runtime/entity/ask.hpp"
#include "runtime/environment/executor.hpp"
#include "runtime/services.hpp"

namespace cx::journey {

/// What is done to a journey as a whole. Each from some stages only; see kTransitions in lifecycle.cpp.
enum class Verb { activate, pause, resume, complete, archive };

/// Moves journeys from stage to stage: compare-and-set on the document "journey-status". Thread-safe; blocks.
/// Errors beside the catalog's: not_found "no-such-journey"; conflict "wrong-stage" (says which it is in, and
/// what is allowed), "too-many-journeys"; of an activation also "no-such-channel", "no-such-template" and
/// what problems_of() names; unavailable "not-in-effect" where it is stored, but not followed yet.
class Lifecycle {
 public:
  static constexpr std::size_t kMostActive = 100;  ///< journeys of a tenant

  /// Both outlive this. The book's catalog is `catalog`.
  Lifecycle(Catalog& catalog, const CatalogBook& book) : catalog_(catalog), book_(book) {}

  /// `revision`: 0 for the newest. Of the revision that is active already it changes nothing.
  Result<v1::JourneyStatus> activate(const std::string& tenant, const std::string& id, std::uint64_t revision,
                                     const std::string& actor);
  /// Any verb but activate.
  Result<v1::JourneyStatus> change(Verb verb, const std::string& tenant, const std::string& id,
                                   const std::string& actor);
  /// Of a journey that never was active: a draft.
  Result<v1::JourneyStatus> status(const std::string& tenant, const std::string& id) const;

 private:
  struct Stored;
  Result<Stored> read(const std::string& tenant, const std::string& id) const;
  Result<v1::JourneyStatus> move(Verb verb, const std::string& tenant, const std::string& id,
                                 std::uint64_t revision, const std::string& actor);
  Result<v1::Journey> definition(const std::string& tenant, const std::string& id,
                                 std::uint64_t revision) const;
  std::optional<Error> check_senders(const std::string& tenant, const v1::Journey& journey) const;
  std::optional<Error> check_room(const std::string& tenant) const;

  Catalog& catalog_;
  const CatalogBook& book_;
  std::mutex changing_;  // one at a time: the number of active journeys depends on all of them
};

/// Serves Validate, Activate, Pause, Resume, Complete and Archive of cx.v1.Journeys on threads of `executor`,
/// and Path by asking the instance. All outlive the services. `executor` is not the catalog's, which has to
/// go on meanwhile.
void add_lifecycle(Services& services, Lifecycle& lifecycle, Executor& executor, AskEntity ask);

}  // namespace cx::journey
