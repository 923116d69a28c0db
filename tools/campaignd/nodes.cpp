#include "tools/campaignd/nodes.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>
#include <map>

#include "cx/v1/node.pb.h"
#include "runtime/address.hpp"
#include "runtime/on_executor.hpp"
#include "tools/version.hpp"

namespace cx {
namespace {

/// The name of a node by its incarnation; empty for nobody, the incarnation for one that is no longer a
/// member.
std::string name_of(const cluster::Topology& topology, const std::string& incarnation) {
  const auto found = topology.members.find(incarnation);
  return found == topology.members.end() ? incarnation : found->second.node();
}

v1::ListNodesReply alone(const Operations& operations) {
  v1::Node self;
  operations.metrics.fill(self);
  v1::ListNodesReply out;
  auto& node = *out.add_nodes();
  node.set_node(self.name());
  node.set_status(v1::NODE_STATUS_SERVING);
  node.set_shards(kShards);
  node.set_version(std::string(kVersion));
  node.set_here(true);
  return out;
}

v1::ListNodesReply list_nodes(const cluster::Topology& topology) {
  std::map<std::string, v1::ClusterNode> nodes;  // by incarnation
  for (const auto& [incarnation, member] : topology.members) {
    auto& node = nodes[incarnation];
    node.set_node(member.node());
    node.set_weight(member.weight());
    node.set_version(member.version());
    node.set_address(fmt::format("{}:{}", member.host(), member.port()));
    node.set_http(member.http());
    node.set_incarnation(incarnation);
    *node.mutable_joined_at() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(member.joined_at());
    node.set_here(incarnation == topology.self);
  }
  v1::ListNodesReply out;
  out.set_table_version(topology.placement.version());
  for (const auto& place : topology.placement.shards()) {
    if (const auto owner = nodes.find(place.owner()); owner != nodes.end()) {
      owner->second.set_shards(owner->second.shards() + 1);
      if (!place.next().empty()) owner->second.set_leaving(owner->second.leaving() + 1);
    } else {
      out.set_unowned(out.unowned() + 1);
    }
    if (const auto next = nodes.find(place.next()); next != nodes.end())
      next->second.set_coming(next->second.coming() + 1);
  }
  const auto& drained = topology.placement.drained();
  for (auto& [incarnation, node] : nodes) {
    const bool drains = topology.members.at(incarnation).status() == v1::Member::STATUS_DRAINING ||
                        std::find(drained.begin(), drained.end(), node.node()) != drained.end();
    node.set_status(!drains              ? v1::NODE_STATUS_SERVING
                    : node.shards() == 0 ? v1::NODE_STATUS_DRAINED
                                         : v1::NODE_STATUS_DRAINING);
    *out.add_nodes() = std::move(node);
  }
  std::sort(out.mutable_nodes()->begin(), out.mutable_nodes()->end(),
            [](const auto& a, const auto& b) { return a.node() < b.node(); });
  return out;
}

/// The nodes behind the one whose name is the token.
v1::ListNodesReply page_of(v1::ListNodesReply all, const v1::ListNodesRequest& request) {
  const int size = request.page_size() == 0 ? 50 : request.page_size();
  auto& nodes = *all.mutable_nodes();
  const auto first = std::find_if(nodes.begin(), nodes.end(), [&](const auto& node) {
    return request.page_token().empty() || node.node() > request.page_token();
  });
  nodes.erase(nodes.begin(), first);
  if (nodes.size() <= size) return all;
  nodes.DeleteSubrange(size, nodes.size() - size);
  all.set_next_page_token(nodes.rbegin()->node());
  return all;
}

Error not_a_cluster() {
  return {
      Code::conflict, "not-a-cluster",
      "This node stands alone: there is no other that could have its shards. Start it with cluster.enabled "
      "and others beside it.",
      ""};
}

Result<v1::ClusterNode> drain(const Operations& operations, const std::string& name, bool drained) {
  if (operations.peers == nullptr) return not_a_cluster();
  if (auto error = operations.peers->drain(name, drained)) return *std::move(error);
  auto listed = list_nodes(*operations.peers->topology());
  for (auto& node : *listed.mutable_nodes())
    if (node.node() == name) return std::move(node);
  return Error{Code::not_found, "no-node",
               fmt::format("{} is no member of the cluster; see GET /v1/nodes.", name), "/node"};
}

Result<v1::RebalanceShardsReply> rebalance(const Operations& operations,
                                           const v1::RebalanceShardsRequest& request) {
  if (operations.peers == nullptr) return not_a_cluster();
  const auto topology = operations.peers->topology();
  const auto moves = operations.peers->rebalance(request.dry_run());
  if (!moves) return moves.error();
  v1::RebalanceShardsReply out;
  out.set_table_version(topology->placement.version());
  for (const auto& move : *moves) {
    auto& one = *out.add_moves();
    one.set_shard(move.shard);
    one.set_from(name_of(*topology, move.from));
    one.set_to(name_of(*topology, move.to));
  }
  return out;
}

}  // namespace

v1::ListShardsReply merge_shards(const cluster::Topology& topology, const std::string& as_of,
                                 const std::vector<const v1::ListShardsReply*>& told) {
  v1::ListShardsReply out;
  out.set_as_of(as_of);
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    auto& one = *out.add_shards();
    one.set_shard(shard);
    one.set_state("unknown");
  }
  // Of two that tell of one shard, the newer epoch has it.
  for (const auto* reply : told)
    for (const auto& shard : reply->shards())
      if (auto& one = *out.mutable_shards(static_cast<int>(shard.shard()));
          one.state() == "unknown" || shard.epoch() > one.epoch())
        one = shard;
  const auto places = std::min(topology.placement.shards_size(), out.shards_size());
  for (int shard = 0; shard < places; ++shard) {
    const auto& place = topology.placement.shards(shard);
    auto& one = *out.mutable_shards(shard);
    one.set_node(name_of(topology, place.owner()));
    one.set_next(name_of(topology, place.next()));
    if (one.state() == "unknown") one.set_epoch(place.epoch());
  }
  return out;
}

void add_nodes(Services& services, const Operations& operations) {
  auto& reads = operations.entities.reads();
  services.add(
      "cx.v1.Nodes.List",
      read_on<v1::ListNodesRequest>(
          reads, [operations](const CallContext&, const auto& request) -> Result<v1::ListNodesReply> {
            return page_of(
                operations.peers == nullptr ? alone(operations) : list_nodes(*operations.peers->topology()),
                request);
          }));
  services.add("cx.v1.Nodes.Drain",
               read_on<v1::DrainNodeRequest>(reads, [operations](const CallContext&, const auto& request) {
                 return drain(operations, request.node(), true);
               }));
  services.add("cx.v1.Nodes.Undrain",
               read_on<v1::UndrainNodeRequest>(reads, [operations](const CallContext&, const auto& request) {
                 return drain(operations, request.node(), false);
               }));
  services.add(
      "cx.v1.Operations.RebalanceShards",
      read_on<v1::RebalanceShardsRequest>(reads, [operations](const CallContext&, const auto& request) {
        return rebalance(operations, request);
      }));
}

}  // namespace cx
