#pragma once

#include <vector>

#include "cx/v1/operations.pb.h"
#include "tools/campaignd/operations.hpp"

namespace cx {

/// Serves cx.v1.Nodes, and what of cx.v1.Operations steers the shards.
void add_nodes(Services& services, const Operations& operations);

/// Every shard: as its owner tells, or, where that says nothing, as far as the placement knows.
v1::ListShardsReply merge_shards(const cluster::Topology& topology, const std::string& as_of,
                                 const std::vector<const v1::ListShardsReply*>& told);

}  // namespace cx
