#pragma once

#include <functional>
#include <google/protobuf/message.h>
#include <optional>
#include <string>

#include "runtime/error.hpp"

/// What the contract's field options ask of a message, whichever way it came in.
namespace cx::json {

using google::protobuf::Message;

/// Checks, in all of the message: required, range, one_of, name, max_length, max_items. Where a field tracks
/// presence, only `required` refuses its absence; elsewhere the empty string is an absent one for one_of and
/// name, but zero is a number like any other for range. Elements of a list are checked one by one. The error
/// is invalid_argument of type required-field, out-of-range, invalid-value, too-long or too-many-items, with
/// a JSON pointer in names of the .proto; too-deep for an Any below a hundred levels, malformed for one that
/// cannot be read.
std::optional<Error> validate(const Message& message);

/// Sets the `generated` string fields that are empty to what `uuid` returns, also in the messages that are
/// set.
void fill(Message& message, const std::function<std::string()>& uuid);

/// Clears fields that callers can neither send nor see, in all of the message: requests and replies in
/// binary.
void clear_internal(Message& message);

/// Clears fields that only replies have: requests in binary.
void clear_output_only(Message& message);

}  // namespace cx::json
