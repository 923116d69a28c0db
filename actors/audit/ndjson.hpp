#pragma once

#include <string>
#include <string_view>

#include "cx/v1/audit.pb.h"
#include "runtime/error.hpp"

namespace cx::audit {

/// An entry as a line of an export, its line feed included: Protobuf's JSON with the names of the contract.
std::string to_line(const v1::AuditEntry& entry);

/// An entry of a line, with or without a line feed: invalid_argument "invalid-audit-line" for what is none,
/// and for one with fields that are not known here.
Result<v1::AuditEntry> from_line(std::string_view line);

}  // namespace cx::audit
