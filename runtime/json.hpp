#pragma once

#include <string>
#include <string_view>

namespace cx {

/// Appends `text` as a JSON string, quotes included. Text that is not UTF-8 loses its non-ASCII bytes to '?'.
void append_json(std::string& out, std::string_view text);

}  // namespace cx
