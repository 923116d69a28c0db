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
  /// Field and value, all of which must hold. Beside the fields of a line there are "node" and "state".
  std::vector<std::pair<std::string, std::string>> filters;
  std::string sort_by;    ///< a field; empty: the worst line first
  std::size_t limit = 0;  ///< lines of each list; 0 for all
};

/// Fields that lines can be sorted and filtered by: those of ActorKind and Endpoint.
std::vector<std::string> topology_fields();

/// Applies `shape`. A line that lacks a filter's field is dropped, one that lacks the sort's keeps its place.
void shape_topology(v1::TopologyReply& topology, const Shape& shape);

/// The tree: a line about everything, one a node, and under it one for each kind of actor and each endpoint.
std::string draw_topology(const v1::TopologyReply& topology, const View& view,
                          std::chrono::system_clock::time_point now);

}  // namespace cx::ctl
