#pragma once

#include <cstddef>
#include <string>

#include "tools/campaignctl/failure.hpp"

namespace cx::ctl {

/// A line of a file of events as an event of a batch: on one line, with a type, and with a messageId that
/// follows from the line and its number where it has none. Empty for a blank line. A failure for what no node
/// would take: no JSON object, more than 32,768 bytes.
Outcome<std::string> read_event_line(std::string line, std::size_t number);

}  // namespace cx::ctl
