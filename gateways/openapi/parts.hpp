#pragma once

#include <boost/json.hpp>
#include <string>

#include "gateways/openapi/schema.hpp"

/// What every API of ours has, whatever its methods are.
namespace cx::openapi {

/// What holds for all methods, in Markdown.
std::string_view introduction();

/// Name of the component for problems of a status, "Not-Found".
std::string problem_name(int status);

/// The components of a document: `schemas`, and the responses, parameters, header fields and security schemes
/// that all operations refer to.
boost::json::object common_components(Schemas& schemas);

}  // namespace cx::openapi
