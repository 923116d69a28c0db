#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cx::json {

/// The first member of this name of the object that `body` is, if it is text; nothing else of it is checked.
/// `body` gets spare capacity for the parser where it has none, and is not changed.
std::optional<std::string> text_member(std::string& body, std::string_view name);
/// The same, if it is a whole number of 64 bits.
std::optional<std::int64_t> number_member(std::string& body, std::string_view name);

}  // namespace cx::json
