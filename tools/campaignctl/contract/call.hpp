#pragma once

#include <boost/json.hpp>

#include "runtime/method.hpp"
#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

/// Runs a command that was made from the contract: makes the request of flags, arguments and file, asks
/// whoever is at the terminal before it changes or destroys something, sends it, follows pages, and shows the
/// reply.
Outcome<Report> call_method(const Call& call);

/// The request as one JSON document: the file of -f under the flags and arguments.
Outcome<boost::json::object> document_of(const Call& call, const Method& method);

/// The request as HTTP has it: path variables, query and body out of the document.
Outcome<Request> http_request(const Method& method, boost::json::object document);

}  // namespace cx::ctl
