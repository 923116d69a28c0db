#pragma once

#include <boost/json.hpp>
#include <string>

#include "tools/campaignctl/failure.hpp"

namespace cx::ctl {

/// A document that somebody wrote, JSON or YAML, as JSON: at most 100,000 values, 64 inside one another.
/// `name` is what the failure calls it.
Outcome<boost::json::value> parse_document(const std::string& text, const std::string& name);

/// The whole of a file, or of stdin for "-", of at most `limit` bytes.
Outcome<std::string> read_input(const std::string& name, std::size_t limit);

}  // namespace cx::ctl
