#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/liquid/template.hpp"

namespace cx::channels {

/// `which`, for the error "template-failed": "subject". `now`: Unix milliseconds.
Result<std::string> render(const liquid::Template& source, std::string_view which,
                           const boost::json::object& data, std::int64_t now, bool html = false);

}  // namespace cx::channels
