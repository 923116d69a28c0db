#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "actors/journey/definition.hpp"

namespace cx::journey {

/// What the catalog says of journeys, as entities need it. Thread-safe, lock-free, never blocks.
class Book {
 public:
  virtual ~Book() = default;
  /// A revision never changes: what follows from it may be replayed. Null when it is not known (yet).
  virtual DefinitionPtr find(std::string_view tenant, std::string_view journey,
                             std::uint64_t revision) const = 0;

  // What holds now; a decision gets it as facts.

  /// Active journeys that an event of this name may start.
  virtual std::vector<v1::JourneyRevision> started_by(std::string_view tenant,
                                                      std::string_view event) const = 0;
  /// The active revision; none unless the journey is active.
  virtual std::optional<v1::JourneyRevision> active(std::string_view tenant,
                                                    std::string_view journey) const = 0;
  virtual v1::JourneyStage stage(std::string_view tenant, std::string_view journey) const = 0;
};

}  // namespace cx::journey
