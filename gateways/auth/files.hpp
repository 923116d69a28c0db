#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/error.hpp"

namespace cx::auth {

/// Writes a file that must not be there yet, that only we may read (0600), and that is on disk, its name
/// included, when this returns. "already-exists" when it is there; "storage-failed".
std::optional<Error> write_secret(const std::string& path, std::string_view bytes);

/// A file of at most `most` bytes: "storage-failed" when it cannot be read, or is longer.
Result<std::string> read_small(const std::string& path, std::size_t most);

}  // namespace cx::auth
