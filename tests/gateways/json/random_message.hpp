#pragma once

#include <google/protobuf/message.h>
#include <random>
#include <string>
#include <vector>

namespace cx::test {

using Random = std::mt19937_64;

/// Sets about half of the fields, in and below `message`, to values that JSON can carry: valid UTF-8, times
/// in range, known enum values, Any of `any_types`.
void fill_randomly(google::protobuf::Message& message, Random& random,
                   const std::vector<const google::protobuf::Message*>& any_types);

/// Prototypes of all message types of the contract and of the test's own file.
std::vector<const google::protobuf::Message*> all_types();

}  // namespace cx::test
