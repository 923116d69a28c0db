#pragma once

// The inside of a Field; for actors/condition/*.cpp only.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "actors/condition/condition.hpp"
#include "actors/condition/value.hpp"

namespace cx::condition {

struct Field::Path {
  enum class Root { trait, event, memory, key, count, first, last };
  struct Segment {
    std::string name;
    std::optional<std::size_t> index;  ///< into a list, where the name is a plain number
  };

  std::string name;  ///< of the field, as it was written
  Root root = Root::key;
  std::string of;             ///< of the trait, or of the event that is counted
  std::vector<Segment> rest;  ///< below the root, or the trait

  /// What it gives may point into the subject and `scratch`.
  View read(const Subject& subject, Scratch& scratch) const;
};

}  // namespace cx::condition
