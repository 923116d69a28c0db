#pragma once

#include <string>

#include "cx/v1/journal.pb.h"
#include "runtime/error.hpp"

namespace cx {

/// "corrupt": what a projection says of a record with something that this build does not know.
inline Error unreadable(const v1::JournalRecord& record) {
  return {Code::internal, "corrupt",
          "An event of " + record.entity() + " in record " + std::to_string(record.sequence()) +
              " cannot be read by this build. Run the newer build that wrote it.",
          ""};
}

}  // namespace cx
