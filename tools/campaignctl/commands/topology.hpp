#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cx/v1/operations.pb.h"
#include "tools/campaignctl/failure.hpp"
#include "tools/campaignctl/report.hpp"

namespace cx::ctl {

/// What to show of a topology, and in which order.
struct Shape {
  std::vector<std::pair<std::string, std::string>> filters;  ///< field and value, all of which must hold
  std::string sort_by;                                       ///< a field; empty: the worst line first
  std::size_t limit = 0;                                     ///< lines of each list; 0 for all
};

/// Fields that lines can be filtered and sorted by: those of ActorKind and Endpoint, and "node" and "state".
std::vector<std::string> topology_fields();

/// Applies `shape`, whose fields must be among topology_fields().
void shape_topology(v1::TopologyReply& topology, const Shape& shape);

/// The tree: a line about everything, one a node, and under it one for each kind of actor and each endpoint.
std::string draw_topology(const v1::TopologyReply& topology, const View& view,
                          std::chrono::system_clock::time_point now);

}  // namespace cx::ctl
