#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/address.hpp"
#include "runtime/cluster/topology.hpp"

// Topologies, made by hand.

namespace cx::test {

/// `owners`: by shard; empty for nobody.
inline cluster::TopologyPtr topology_at(const std::string& self, std::uint64_t version,
                                        const std::map<std::string, std::uint16_t>& ports,
                                        const std::vector<std::string>& owners, std::uint64_t epoch = 1) {
  auto made = std::make_shared<cluster::Topology>();
  made->self = self;
  made->placement.set_version(version);
  for (const auto& owner : owners) {
    auto& place = *made->placement.add_shards();
    place.set_owner(owner);
    place.set_epoch(epoch);
  }
  for (const auto& [name, port] : ports) {
    auto& member = made->members[name];
    member.set_incarnation(name);
    member.set_node("node-" + name);
    member.set_host("127.0.0.1");
    member.set_port(port);
  }
  return made;
}

inline cluster::TopologyPtr topology(const std::string& self, std::uint64_t version,
                                     const std::vector<std::string>& members,
                                     const std::vector<std::string>& owners, std::uint64_t epoch = 1) {
  std::map<std::string, std::uint16_t> ports{{self, 0}};
  for (const auto& member : members) ports[member] = 0;
  return topology_at(self, version, ports, owners, epoch);
}

inline cluster::TopologyPtr topology(const std::string& self, std::uint64_t version,
                                     const std::vector<std::string>& members, const std::string& owner,
                                     std::uint64_t epoch = 1) {
  return topology(self, version, members, std::vector<std::string>(kShards, owner), epoch);
}

}  // namespace cx::test
