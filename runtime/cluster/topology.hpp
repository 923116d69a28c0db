#pragma once

#include <map>
#include <memory>
#include <string>

#include "cx/v1/cluster.pb.h"

namespace cx::cluster {

/// What a node knows of its cluster at one moment.
struct Topology {
  std::string self;  ///< incarnation of this node
  v1::Placement placement;
  std::map<std::string, v1::Member> members;  ///< by incarnation; without those that left
};
using TopologyPtr = std::shared_ptr<const Topology>;

}  // namespace cx::cluster
