#pragma once

#include <google/protobuf/message.h>

// Fields that the contract marks `input_only`: stored, never shown.

namespace cx {

/// Whether a type has any, at whatever depth.
bool has_input_only(const google::protobuf::Descriptor& type);

/// Empties them, in lists, too.
void strip_input_only(google::protobuf::Message& message);

/// Gives those that are empty in `into` what they are in `before`, of the same type; in messages that both
/// have, not in those of lists, which nothing pairs. A message that is not otherwise as it was gets nothing:
/// whoever has a key sent somewhere else has to know the key.
void keep_input_only(google::protobuf::Message& into, const google::protobuf::Message& before);

}  // namespace cx
