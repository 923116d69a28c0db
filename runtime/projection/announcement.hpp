#pragma once

#include <cstdint>
#include <functional>
#include <google/protobuf/message.h>
#include <memory>
#include <string>
#include <vector>

#include "cx/v1/journal.pb.h"
#include "runtime/error.hpp"

namespace cx {

/// Something that happened to an entity, as others are told of it.
struct Announcement {
  std::uint32_t index = 0;                                ///< of the event in its record
  std::string type;                                       ///< a name (see is_name): what happened
  std::int64_t at = 0;                                    ///< when, Unix milliseconds
  std::shared_ptr<const google::protobuf::Message> body;  ///< of the contract, as callers see it
};

/// What others are told of a record of one kind of entities, in order; nothing where it is nobody else's
/// business. Pure: the same each time. An error means that the record cannot be read.
using Announce = std::function<Result<std::vector<Announcement>>(const v1::JournalRecord& record)>;

}  // namespace cx
