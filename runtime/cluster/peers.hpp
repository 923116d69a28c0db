#pragma once

#include <caf/io/broker.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "runtime/cluster/forwarder.hpp"
#include "runtime/cluster/link.hpp"
#include "runtime/cluster/outgoing.hpp"
#include "runtime/cluster/wire.hpp"

namespace cx::cluster {

/// What the forwarder's actor has and does: the connections to other nodes. Everything on CAF's network
/// thread, but where it says otherwise.
class Forwarder::Peers final : private LinkEvents, private OutgoingPort {
 public:
  explicit Peers(Parts parts);
  caf::behavior run(caf::io::broker* self);

  Answerer answerer;  ///< set before there is a topology
  const Parts& parts() const { return parts_; }
  bool tls() const { return !parts_.config.tls().certificate().empty(); }

 private:
  /// What is counted for a node, by its name; read by whoever scrapes.
  struct Traffic {
    Counter frames_in, frames_out, bytes_in, bytes_out;
  };
  struct Connection {
    Connection(std::uint64_t number, LinkEvents& events) : link(number, events) {}
    Link link;
    caf::io::connection_handle handle;
    std::string expected;  ///< incarnation, when we made it
    std::shared_ptr<Traffic> traffic;
    std::int64_t since = 0, heard = 0, spoke = 0;
    std::uint32_t served = 0;                     ///< requests of the other side under way here
    bool counted = false;                         ///< outgoing_ knows that it is linked
    bool dirty = false;                           ///< there is something to write
    std::uint64_t frames_in = 0, frames_out = 0;  ///< of those that are counted
  };
  /// How a member is reached.
  struct Peer {
    std::uint64_t connection = 0;
    bool dialling = false;
    std::int64_t next_dial = 0, backoff = 0;
  };

  std::int64_t now() const;
  v1::PeerHello hello() const;
  std::uint64_t version() const { return table_version_->load(std::memory_order_relaxed); }

  void submit(Request& request, Respond respond);
  void update(TopologyPtr topology);
  void dial_members();
  void dialled(Dialled& result);
  void open(caf::io::connection_handle handle, std::string expected);
  void received(const caf::io::new_data_msg& data);
  void close(std::uint64_t number, const std::string& why, bool at_once);
  void serve_question(Connection& from, v1::PeerRequest& request);
  void touch(Connection& connection);
  void flush();
  void tick();
  void watch();
  void stop();
  std::shared_ptr<Traffic> traffic_of(const std::string& node);
  Connection* find(std::uint64_t number);

  std::string hello(Link& link) override;
  void requested(Link& link, v1::PeerRequest& request) override;
  void replied(Link& link, v1::PeerReply& reply) override;
  std::optional<Error> send(const std::string& member, std::uint64_t id, const Request& request,
                            const Stamp& stamp) override;
  void serve(std::uint64_t id, Request request) override;
  Respond respond_to(Connection& from, std::uint64_t id);

  Parts parts_;
  caf::io::broker* self_ = nullptr;
  std::shared_ptr<Outgoing::Counts> counts_ = std::make_shared<Outgoing::Counts>();
  /// Of the topology; whoever answers a request reads it on another thread.
  std::shared_ptr<std::atomic<std::uint64_t>> table_version_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
  Outgoing outgoing_;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::unordered_map<caf::io::connection_handle, std::uint64_t> by_handle_;
  std::map<std::string, Peer> peers_;  ///< by incarnation
  std::map<std::string, std::shared_ptr<Traffic>> traffic_;
  std::set<std::string> refused_;  ///< whom was told in the log
  std::uint64_t last_number_ = 0;
  bool flushing_ = false, ticking_fast_ = false, stopped_ = false;
  std::int64_t ticked_ = 0;
};

}  // namespace cx::cluster
