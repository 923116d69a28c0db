#pragma once

#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "runtime/cluster/membership.hpp"
#include "runtime/random.hpp"

namespace cx::cluster {

/// Several nodes' Membership over a made-up bucket, hosts and journal, under virtual time. The bucket stores
/// each put on its condition, at once and for good; what is lost, late or cut off is the way to it and back.
/// Nodes' clocks run at rates up to a tenth apart. Everything follows from the seed.
class Simulation {
 public:
  static constexpr std::uint32_t kShardsHere = 20;
  static constexpr std::int64_t kLease = 2000;

  Simulation(std::uint64_t seed, std::size_t nodes);

  /// Lets time pass, with faults or without.
  void run(std::int64_t ms, bool faults);
  /// Ends all faults and starts all nodes, again and again where they are refused.
  void heal();
  void undrain_all();

  /// What was wrong, first of all.
  const std::string& failure() const { return failure_; }
  /// Why the cluster is not as it should be when all is quiet; empty when it is.
  std::string unsettled() const;

  void start(std::size_t node);
  void crash(std::size_t node);
  void pause(std::size_t node, std::int64_t ms);
  void cut(std::size_t node, std::int64_t ms);
  void leave(std::size_t node);
  void drain(std::size_t at, std::size_t node, bool drained);
  /// Another process that says that it is `node`.
  void add_twin(std::size_t node);

  std::size_t owned(std::size_t node) const;
  std::int64_t time() const { return now_; }
  const Membership* member(std::size_t node) const {
    return nodes_[node].member ? &*nodes_[node].member : nullptr;
  }
  const v1::Placement& table() const { return table_; }
  std::size_t outs() const { return outs_; }
  std::size_t buried() const { return buried_; }
  std::size_t size() const { return nodes_.size(); }

 private:
  struct Node {
    std::string name;
    bool twin = false;  ///< another has the name first
    std::optional<Membership> member;
    std::uint64_t life = 0;  ///< of the process: what is meant for an earlier one is void
    double rate = 1;
    std::int64_t offset = 0;
    std::int64_t paused_until = 0, cut_until = 0;
    std::size_t followed = 0;
    std::vector<std::uint64_t> open;  ///< epoch that the host serves a shard in; 0: it does not
    std::vector<std::uint64_t> opening;
  };
  struct Entry {
    std::string key, value;
  };
  struct Event {
    std::int64_t at;
    std::uint64_t order;
    std::function<void()> run;
    bool operator<(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
  };

  std::int64_t clock(const Node& node) const {
    return node.offset + static_cast<std::int64_t>(static_cast<double>(now_) * node.rate);
  }
  void at(std::int64_t ms, std::function<void()> run) { events_.push({ms, order_++, std::move(run)}); }
  /// On a node, in the life that it has now: later if it is paused.
  void on(std::size_t node, std::int64_t ms, std::function<void(Node&, Membership&)> run);
  std::int64_t travel();
  bool lost(const Node& node);
  void fault();
  void tick(std::size_t node, std::uint64_t life);
  void follow(std::size_t node, std::uint64_t life);
  void carry_out(std::size_t node);
  void put(std::size_t node, Membership::Put put);
  std::uint64_t store(const Membership::Put& put);
  void read(std::size_t node, const std::string& key);
  void take(std::size_t node, ShardEpoch shard);
  void commit(std::size_t node);
  void fail(const std::string& what);
  void check();

  Random random_;
  std::int64_t now_ = 1'000'000;
  std::uint64_t order_ = 0;
  bool faults_ = false, healed_ = false;
  std::priority_queue<Event> events_;
  std::vector<Node> nodes_;
  std::vector<Entry> log_;                     ///< revision: index + 1
  std::map<std::string, std::uint64_t> last_;  ///< revision by key
  v1::Placement table_;
  std::vector<std::uint64_t> fence_;  ///< epoch that the journal has of each shard
  std::set<std::string> incarnations_, gone_;
  std::size_t outs_ = 0, buried_ = 0;
  std::string failure_;
};

}  // namespace cx::cluster
