#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/address.hpp"
#include "runtime/cluster/envelope.hpp"
#include "runtime/cluster/topology.hpp"
#include "runtime/telemetry/counter.hpp"

namespace cx::cluster {

/// What carries requests away. Neither calls back at once.
class OutgoingPort {
 public:
  virtual ~OutgoingPort() = default;
  /// Puts a request on the link to a member, which is up; or says why it never can be.
  virtual std::optional<Error> send(const std::string& member, std::uint64_t id, const Request& request,
                                    const Stamp& stamp) = 0;
  /// Asks this node's own entities, which may have the shard after all.
  virtual void serve(std::uint64_t id, Request request) = 0;
};

/// Commands that are not for this node's entities: which wait, and which are under way to whom. Each is
/// answered once:
///  - A shard's requests leave in the order in which they came, when the table names an owner to which there
///    is a link; until then they wait, as long as `patience` or their deadline allow.
///  - Who is asked and does not have the shard says so, and the request waits for a newer table. Since an
///    owner takes a moment to open what it has been given, it is also asked again soon, with one request
///    first.
///  - When a link is lost, what is safe to repeat waits for whoever owns the shard then: queries, and what
///  has
///    a message id. Of the others nobody knows whether they took effect, and that is what they are answered.
///  - Whatever a member has not answered takes one of its credits, even when its deadline is over.
/// Knows no threads and no clock. Times are milliseconds of a steady clock.
class Outgoing {
 public:
  struct Limits {
    std::uint32_t credit = 8192;  ///< to each member, waiting or under way; and again for the ownerless ones
    std::int64_t patience_ms = 5000;
  };
  struct Counts {
    Counter sent, retried, unknown, overloaded, expired;
    std::atomic<std::int64_t> waiting{0}, under_way{0};
  };
  /// Both outlive it.
  Outgoing(Limits limits, OutgoingPort& port, Counts& counts);

  /// `deadline` 0: none. `respond` is called once, now or later.
  void submit(Request request, Respond respond, std::int64_t deadline, std::int64_t now);
  /// A question to a member itself, never repeated: "unavailable" when there is no link to it.
  void ask(const std::string& member, MessagePtr question, Respond respond, std::int64_t deadline,
           std::int64_t now);

  /// One that is older than the last is ignored.
  void update(TopologyPtr topology, std::int64_t now);
  void linked(const std::string& member, std::int64_t now);
  void unlinked(const std::string& member, std::int64_t now);
  /// What a member, or this node's entities for serve(), answered.
  void answered(std::uint64_t id, Answer answer, std::int64_t now);
  /// To be called every few milliseconds while something waits, and now and then otherwise.
  void tick(std::int64_t now);
  /// Answers everything, and whatever comes later, with "unavailable".
  void stop();

  bool waiting() const { return !waiting_.empty(); }
  /// Null before the first one.
  const TopologyPtr& topology() const { return topology_; }

 private:
  struct Member {
    bool linked = false;
    std::uint32_t sent = 0;     ///< not answered by it, given up or not
    std::uint32_t waiting = 0;  ///< for shards that it owns
  };
  using Members = std::map<std::string, Member>;
  struct Held {
    enum Where { waits, sent, here };
    Request request;
    Respond respond;  ///< empty when it was given up
    std::int64_t deadline = 0;
    std::int64_t waits_since = 0;
    Where where = waits;
    Members::iterator to;       ///< when sent
    std::uint64_t version = 0;  ///< of the table by which it was sent last
    bool timed = false;         ///< whether it is in due_
  };
  using All = std::unordered_map<std::uint64_t, Held>;
  struct Lane {  ///< of a shard
    Members::iterator owner;
    bool owned = false;  ///< whether `owner` is set
    bool here = false;   ///< this node is the owner
    std::uint64_t epoch = 0;
    std::uint32_t waiting = 0;
    bool probe = false;  ///< refused: one goes first, when the pause is over
    std::int64_t pause = 0;
    std::int64_t paused_until = 0;
  };

  bool ready(const Lane& lane, std::int64_t now) const;
  std::uint32_t& waiters(Lane& lane) { return lane.owned ? lane.owner->second.waiting : adrift_; }
  void wait(All::iterator held, std::int64_t now);
  void dispatch(All::iterator held, std::int64_t now);
  void pump(std::uint32_t shard, std::int64_t now);
  void pump_all(std::int64_t now);
  void leave(Held& held);
  void finish(All::iterator held, Answer answer);
  void time(std::uint64_t id, Held& held, std::int64_t now);
  void expire(All::iterator held, std::int64_t now);
  std::int64_t limit_of(const Held& held) const;
  void gauge();

  const Limits limits_;
  OutgoingPort& port_;
  Counts& counts_;
  TopologyPtr topology_;
  std::array<Lane, kShards> lanes_{};
  Members members_;
  All all_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> waiting_;  ///< shard, id
  std::map<std::int64_t, std::vector<std::uint64_t>> due_;     ///< by coarse time
  std::uint32_t here_ = 0;                                     ///< that this node's own entities are asked
  std::uint32_t adrift_ = 0;  ///< these, and those that wait for a shard without an owner elsewhere
  std::uint64_t last_id_ = 0;
  bool stopped_ = false;
};

}  // namespace cx::cluster
