#pragma once

#include <atomic>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/event_based_actor.hpp>
#include <map>
#include <memory>
#include <vector>

#include "runtime/address.hpp"
#include "runtime/entity/host.hpp"
#include "runtime/journal/committer.hpp"
#include "runtime/metered.hpp"

namespace cx {

/// Something that a region does on its own thread.
struct Run {
  std::function<void()> run;
};

/// A request whose answer goes to a function.
struct Asked {
  Request request;
  Respond respond;
};

/// Commands of each shard that wait in a mailbox or are under way in a host. Thread-safe.
class Credits {
 public:
  explicit Credits(std::uint32_t each) : each_(each) {}
  bool take(std::uint32_t shard) {
    if (taken_[shard].fetch_add(1, std::memory_order_relaxed) < each_) return true;
    give_back(shard);
    return false;
  }
  /// Without asking.
  void hold(std::uint32_t shard) { taken_[shard].fetch_add(1, std::memory_order_relaxed); }
  void give_back(std::uint32_t shard) { taken_[shard].fetch_sub(1, std::memory_order_relaxed); }
  static Error refusal(std::uint32_t shard);

 private:
  const std::uint32_t each_;
  std::array<std::atomic<std::uint32_t>, kShards> taken_{};
};

/// The actor that hosts some shards: mail in, Host, mail out. Takes (Request), answered with a MessagePtr or
/// an error of to_caf(); (Asked); (Run). Takes no more commands for a shard than it has credit: past it, they
/// are refused by the thread that sends them.
class Region final : public Metered<caf::event_based_actor>, private HostPort {
 public:
  struct Parts {
    std::vector<std::uint32_t> shards;
    HostOptions options;
    const Kinds& kinds;
    Journal& journal;
    Committer& committer;
    Executor& reads;
    Environment& environment;
    Metrics& metrics;
    std::shared_ptr<Credits> credits;
    /// Puts a request on its way to the region of its shard.
    std::function<void(Request, Respond)> send;
    /// Who is at an endpoint now; null for nobody.
    std::function<caf::actor(const std::string& endpoint)> at_endpoint;
    // See HostPort; may be null where shards never move.
    std::function<void(Request, Respond)> elsewhere;
    std::function<void(std::uint32_t shard, bool is)> here;
    std::function<void(ShardEpoch)> lost;
  };
  Region(caf::actor_config& config, KindProbe& probe, Parts parts);

  /// On the region's thread only, see Run.
  Host& host() { return host_; }

  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) override;
  using Metered::enqueue;

 protected:
  caf::behavior make_behavior() override;

 private:
  void offload(std::function<Then()> work) override;
  void commit(std::vector<Append> appends, Committed then) override;
  void send(std::uint32_t from, Request request, Respond respond) override;
  void deliver(const Endpoint& endpoint, Letter letter, Respond respond) override;
  void flush_later() override;
  void elsewhere(Request request, Respond respond) override;
  void here(std::uint32_t shard, bool is) override { parts_.here(shard, is); }
  void lost(ShardEpoch shard) override { parts_.lost(shard); }
  caf::actor self();
  void answered(const caf::actor_addr& by, std::uint64_t delivery, Answer answer);

  Parts parts_;
  /// What actors of endpoints have not answered, by its number: one that ends may take promises along.
  std::map<caf::actor_addr, std::map<std::uint64_t, Respond>> deliveries_;
  std::uint64_t last_delivery_ = 0;
  Host host_;
};

}  // namespace cx

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::Run)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cx::Asked)
