#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace cx::cluster {

/// A small model of leases, table, handoff and fence, and an exhaustive search of all that can happen in it:
/// three nodes and one shard. It mirrors runtime/cluster/membership.hpp and the journal's condition; it is
/// not that code, whose 1,024 shards and clocks would not fit (simulation.hpp runs the code itself).
///
/// What is modelled. Every message may take as long as it likes or get lost, so a node that is slow, paused
/// or cut off is one whose messages do not come; a node may stop for good, and come back under a new
/// incarnation once. A lease lasts one tick; ticks pass for all at once, between any two steps. A node whose
/// lease is over stops now or later, as one that was paused would. Of NATS's compare-and-sets only what takes
/// effect is a step: one whose condition fails changes nothing. Epochs, commits, planned moves and
/// returns are bounded. A node that has nothing to do with the shard keeps its lease: what it does is not
/// looked at. How nodes learn of others' keys is one view for all; how they learn of the table is a view of
/// each.
struct Faulty {
  bool takes_early = false;       ///< the next owner takes the shard while the owner has it, in its epoch
  bool no_fence = false;          ///< the journal stores without looking at the condition
  bool buries_blindly = false;    ///< death is declared without a condition
  bool buries_early = false;      ///< ... without waiting for the lease
  bool lease_from_reply = false;  ///< the lease is counted from when the answer came
  bool same_epoch = false;        ///< the shard of a dead node is given away in the same epoch
  bool hands_over_early = false;  ///< the owner hands over before it has released
  bool believes_silence = false;  ///< an append without an answer counts as stored
  bool leaves_estate = false;     ///< nobody gives away the shard of a dead node
};

/// How far the search goes.
struct Bounds {
  std::uint8_t epochs = 2, commits = 1, moves = 1, rejoins = 1;  ///< at most 7, 2, 3, 3
  std::size_t states = 8'000'000;                                ///< more are an error
};

struct Checked {
  std::size_t states = 0, steps = 0;
  std::string violation;           ///< empty: none
  std::vector<std::string> trace;  ///< the steps to it, shortest
};

/// Looks at every state that can be reached, until one violates a property:
/// - no two nodes believe, within their leases, that the shard is theirs;
/// - nothing is committed in an old epoch after a newer one has been opened;
/// - what was acknowledged is in the log, and stays;
/// - no two incarnations open the shard in one epoch;
/// - from every state, the shard can still be served again.
Checked check_model(const Faulty& faulty, const Bounds& bounds = {});

}  // namespace cx::cluster
