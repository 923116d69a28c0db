#pragma once

#include <boost/json/object.hpp>
#include <string_view>

namespace cx::journey {

/// A JSON object from its text; empty for what is none.
boost::json::object object_of(std::string_view json);

}  // namespace cx::journey
