#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

// Answers of a node as JSON, which may come from a newer one: what is missing is null, what is unknown stays.

/// A field of an object; null when either is not there.
const boost::json::value& at(const boost::json::value& object, std::string_view key);
const boost::json::value& at(const boost::json::object& object, std::string_view key);
/// The items of an array; none of anything else.
const boost::json::array& list(const boost::json::value& value);
/// A number, which Protobuf's JSON may have as a string; 0 for anything else.
double number(const boost::json::value& value);

/// Asks, and takes nothing but a JSON object for an answer.
Outcome<boost::json::object> ask_object(const Call& call, const Request& request);

/// The name of a message in an Any, "cx.v1.ReserveImpressions"; empty where there is none.
std::string type_of(const boost::json::value& any);
/// Its last part.
std::string short_type_of(const boost::json::value& any);

/// Lines of a label and its text, and below them, under a label of its own, the fields of the message in an
/// Any.
std::string draw_details(const std::vector<std::pair<std::string, std::string>>& lines,
                         const std::string& label, const boost::json::value& any, const View& view);

}  // namespace cx::ctl
