#pragma once

#include <map>
#include <string>
#include <vector>

#include "tools/campaignctl/command.hpp"

namespace cx::ctl {

/// Runs the command of `call` again and again: repaints a terminal, appends to a pipe, writes what changed as
/// JSON lines. Outlives servers that go away; returns only for what waiting cannot cure: a mistake in the
/// call, or a first answer that refuses it.
Failure watch(const Call& call, const View& view);

/// What became of the rows since the last call, a JSON line each: {"type":"ADDED","name":…,"object":{…}}, or
/// CHANGED, or DELETED with the last state. `known` carries over from call to call.
std::string changes(std::map<std::string, boost::json::object>& known, const std::vector<Row>& rows);

}  // namespace cx::ctl
