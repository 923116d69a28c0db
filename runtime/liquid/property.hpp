#pragma once

#include "runtime/liquid/filters.hpp"

namespace cx::liquid {

/// What `item[name]` is to the filters that take the name of a property.
struct Property {
  enum class Is {
    found,       ///< also nil, where there is none of that name
    untyped,     ///< nothing of this type has properties: nil, booleans, fractions, ranges
    unnamed,     ///< of a text, and the name is nil
    impossible,  ///< the name is of a type that does not fit; the call has failed
  };
  Is is = Is::found;
  Value value;
};

/// Of an object its member; of a text `name` itself if it is in it, or a character by its number; of a whole
/// number one of its bits.
Property property(Call& call, const Value& item, const Value& name);

bool has_properties(const Value& item);

}  // namespace cx::liquid
