#pragma once

#include <string>
#include <utility>
#include <vector>

#include "actors/bidding/openrtb/request.hpp"

namespace cx::openrtb {

/// A JSON value to write. Tests build it from a Request and may disturb it before it becomes text.
struct Json {
  enum class Kind { scalar, array, object };
  Kind kind = Kind::object;
  std::string scalar;                                 ///< as it is written
  std::vector<Json> items;                            ///< of an array
  std::vector<std::pair<std::string, Json>> members;  ///< of an object, in the order written

  std::string text() const;
};

/// A bid request that parses to `request` again, if its floors are no more than kExactMicros.
Json to_json(const Request& request);

/// Up to here a price of that many micros survives being written as a decimal and read as a double.
inline constexpr std::int64_t kExactMicros = 1'000'000'000'000'000;

}  // namespace cx::openrtb
