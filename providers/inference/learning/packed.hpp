#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/error.hpp"

namespace cx::inference::learning {

/// Gives `take` a file's bytes in pieces of any size, unpacked where it is gzip; "-" is stdin. Ends with the
/// first error, of `take` or of type "unreadable-table".
std::optional<Error> read_packed(const std::string& path,
                                 const std::function<std::optional<Error>(std::string_view)>& take);

/// The same by lines, without their ends; `number` is from 1. One longer than `longest` bytes is an error, of
/// type "malformed-line", that says which.
std::optional<Error> read_lines(
    const std::string& path, std::size_t longest,
    const std::function<std::optional<Error>(std::string_view line, std::size_t number)>& take);

}  // namespace cx::inference::learning
