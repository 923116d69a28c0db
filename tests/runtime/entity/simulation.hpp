#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/entity/host.hpp"

namespace cx::test {

/// What a simulation may get wrong on purpose.
struct Sabotage {
  HostOptions::Sabotage host = {};
  bool lying_disk = false;  ///< says that it has synced, and has not
  bool no_fence = false;    ///< the journal takes what a host writes that has lost its shard
};

struct Verdict {
  std::vector<std::string> faults;  ///< what the runtime promises and was not so; empty when all is well
  std::uint64_t digest = 0;         ///< of every record at the end
  // What happened, so that a test can tell that something did.
  std::uint64_t records = 0, acknowledged = 0, unknown = 0, retried = 0, crashes = 0, power_losses = 0,
                disk_faults = 0;
  std::uint64_t within = 0;                          ///< messages within a shard
  std::uint64_t paid = 0, repaid = 0;                ///< messages that an endpoint got, and got again
  std::uint64_t moved = 0, seized = 0, dropped = 0;  ///< shards, in a cluster
  std::uint64_t lost = 0;                            ///< shards whose host found out late
  std::uint64_t misled = 0;                          ///< commands to a host that had lost the shard
};

/// A node's life as a seed has it: clients send commands to entities of all kinds, repeat what they do not
/// know the outcome of, and note every answer, an endpoint notes what it gets, while tasks run in random
/// order, messages get lost, double and late, writes fail or tear, the disk fills, the process is killed and
/// the power goes. In the end the log and the entities are held against what the clients were told.
Verdict simulate(std::uint64_t seed, const Sabotage& sabotage = {});

/// The same with two to four hosts as nodes of a cluster, over one journal: shards are handed over, taken
/// away without a word to their host, and dropped, while senders who know no better go on sending to that
/// host.
Verdict simulate_cluster(std::uint64_t seed, const Sabotage& sabotage = {});

}  // namespace cx::test
