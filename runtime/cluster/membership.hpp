#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/address.hpp"
#include "runtime/cluster/placement.hpp"
#include "runtime/cluster/topology.hpp"
#include "runtime/entity/shard_host.hpp"
#include "runtime/error.hpp"

namespace cx::cluster {

/// What one node knows and does about members and placement, without threads, clocks and NATS: it is told
/// what happened and when, by the node's own steady clock in milliseconds, and says what to do. The rules are
/// in README.md. To be called from one thread at a time; whoever calls any of its methods carries out
/// commands() afterwards, in their order within each list: drop, release, take, then the rest.
class Membership {
 public:
  /// Sets a key on the condition that `after` is the revision of what it has now (0: nothing).
  struct Put {
    std::string key, value;
    std::uint64_t after = 0;
  };
  struct Commands {
    std::vector<std::uint32_t> drop;
    std::vector<std::uint32_t> release;  ///< told to released() with `round`
    std::uint64_t round = 0;
    std::vector<ShardEpoch> take;
    std::vector<Put> puts;            ///< each is told to outcome()
    std::vector<std::string> reads;   ///< keys to be read at the leader; each is told to read()
    std::vector<std::string> forget;  ///< keys to be erased for good
    bool list = false;                ///< every key is to be shown as the leader has it, then caught_up()
    TopologyPtr topology;             ///< where it has changed
    std::vector<std::string> log;     ///< for people
  };
  enum class Outcome { stored, refused, unknown };
  enum class Stage {
    idle,
    checking,    ///< waits for the bucket, and for others who stand in the way to prove alive or be dead
    creating,    ///< puts its key
    confirming,  ///< looks whether somebody of the same name came at the same time
    entering,    ///< renews for the first time: from then on it counts
    serving,
    leaving,  ///< puts STATUS_LEFT
    left,
    refused,  ///< see refusal()
    out,      ///< was declared dead: has to join() again
  };

  /// `identity`: node, host, port, weight, version, lease_ms and http count.
  Membership(v1::Member identity, std::string cluster, std::uint32_t shards = kShards);

  /// Becomes a member under a new incarnation. For an idle one, one that was refused, or one that is out.
  void join(std::int64_t now, std::string incarnation, std::int64_t unix_ms);
  /// Gives its shards away, for `grace` milliseconds at most, and leaves.
  void leave(std::int64_t now, std::int64_t grace);
  /// Has a node, by name, drained or not. For one that serves.
  void drain(std::int64_t now, const std::string& node, bool drained);
  /// Looks for a better placement at once.
  void rebalance(std::int64_t now);

  /// The bucket, in the order of revisions, as followed.
  void shown(std::int64_t now, const std::string& key, std::uint64_t revision, std::string_view value);
  /// Everything that was in the bucket a moment ago has been shown.
  void caught_up(std::int64_t now);
  struct Found {
    std::uint64_t revision = 0;
    std::string value;
  };
  /// What a read found: nothing with revision 0; no value where the read failed.
  void read(std::int64_t now, const std::string& key, const std::optional<Found>& found);
  /// Of a put. `revision` counts for one that was stored.
  void outcome(std::int64_t now, const std::string& key, Outcome outcome, std::uint64_t revision);

  void released(std::int64_t now, std::uint32_t shard, std::uint64_t round);
  void lost(std::int64_t now, ShardEpoch newer);

  /// To be called at least every twentieth of a lease, and every 50 ms.
  void tick(std::int64_t now) { advance(now); }
  /// What is to be done, since it was asked last.
  Commands commands();

  Stage stage() const { return stage_; }
  const Error& refusal() const { return refusal_; }
  /// When others may take over, at the earliest; 0 when it has never served.
  std::int64_t deadline() const { return stage_ == Stage::serving ? renewed_ + lease() : 0; }
  /// Whether it believes at `now` that the shard is its own.
  bool holds(std::uint32_t shard, std::int64_t now) const;
  const std::string& incarnation() const { return self_.incarnation(); }
  const v1::Placement& table() const { return table_; }
  const Members& members() const { return members_; }

  /// How much longer than the lease others wait before they declare a member dead. A quarter: clocks may run
  /// at rates a tenth apart, or a node may take as long to stop its shards.
  static std::int64_t margin(std::int64_t lease) { return lease / 4; }
  static constexpr std::int64_t kForgetMs = 600'000;  ///< members who left are erased after it

 private:
  enum class Held : std::uint8_t { none, held, releasing, released };
  struct Shard {
    Held held = Held::none;
    std::uint64_t epoch = 0;   ///< of `held`
    std::uint64_t round = 0;   ///< of `releasing`
    std::uint64_t beyond = 0;  ///< epoch that the journal has, and the table is to exceed
  };
  /// What we know of a member's key.
  struct Seen {
    std::uint64_t revision = 0;
    std::int64_t at = 0;        ///< when it changed, here
    std::uint32_t changes = 0;  ///< since we began to join
  };

  std::int64_t lease() const { return self_.lease_ms(); }
  bool joined() const { return stage_ == Stage::serving; }
  bool serves() const { return joined() && !lapsed_; }
  std::string key() const { return "member." + self_.incarnation(); }
  bool pending(const std::string& key) const { return puts_.contains(key); }
  std::int64_t rank() const;

  void advance(std::int64_t now);
  void put(const std::string& key, std::string value, std::uint64_t after);
  void ask(const std::string& key, std::int64_t at);
  void see_table(std::uint64_t revision, std::string_view value);
  void see_member(std::int64_t now, const std::string& incarnation, std::uint64_t revision,
                  std::string_view value, bool leader = false);
  void see_self(std::int64_t now, std::uint64_t revision, const v1::Member& member);
  void see_gone(std::int64_t now, const std::string& incarnation);
  void note(const v1::Member& member);
  // membership_join.cpp
  void check(std::int64_t now);
  void confirm(std::int64_t now);
  void renew(std::int64_t now);
  void depart(std::int64_t now);
  void refuse(Error error);
  void go_out();
  void bury(std::int64_t now);
  void tidy(std::int64_t now);
  // membership_shards.cpp
  void lapse(std::int64_t now);
  void drop_all();
  void settle(std::int64_t now);
  bool somebody_receives() const;
  void look(std::int64_t now);
  void write_table(std::int64_t now);
  void hand_over(v1::Placement& next);
  void publish();

  const v1::Member identity_;
  const std::string cluster_;

  Stage stage_ = Stage::idle;
  Error refusal_;
  Commands out_;
  std::int64_t advanced_ = 0;
  bool loaded_ = false;                        ///< the bucket has been shown
  bool confirmed_ = false;                     ///< the bucket has been shown since our key is in it
  std::uint64_t followed_ = 0;                 ///< newest revision shown
  std::set<std::string> puts_;                 ///< keys of puts under way
  std::map<std::string, std::int64_t> reads_;  ///< keys that are to be read, and when
  std::set<std::string> reading_;

  v1::Member self_;
  std::uint64_t self_revision_ = 0;
  std::map<std::uint64_t, std::int64_t> sent_;  ///< when renewals without an answer were sent, by number
  std::uint64_t renewal_ = 0;                   ///< number of the last one sent
  std::int64_t renew_at_ = 0;
  std::int64_t renewed_ = 0;   ///< when the last successful one was sent
  std::int64_t heard_ = 0;     ///< when we learned of it
  std::int64_t watching_ = 0;  ///< silence of others counts from here
  bool lapsed_ = false;
  std::optional<std::int64_t> leave_by_;

  Members members_;
  std::map<std::string, Seen> seen_;

  v1::Placement table_;               ///< with the highest version that we have seen
  std::uint64_t stored_version_ = 0;  ///< of what the bucket has
  std::uint64_t table_revision_ = 0;
  bool table_broken_ = false;
  std::optional<v1::Placement> writing_;
  std::uint64_t written_on_ = 0;        ///< revision that it is to replace
  std::map<std::string, bool> wishes_;  ///< nodes to drain, or not
  std::vector<Shard> shards_;
  std::uint64_t round_ = 0;
  std::int64_t first_released_ = 0;  ///< of those that wait to be handed over
  std::int64_t propose_at_ = -1;     ///< negative: there is nothing to propose
  std::size_t waiting_ = 0;          ///< shards to be handed over, or to get a higher epoch
  std::size_t releasing_ = 0;
  bool eager_ = false;                                  ///< to propose without delay
  bool look_ = true, settle_ = true, announce_ = true;  ///< for a proposal, at the shards, the topology
};

}  // namespace cx::cluster
