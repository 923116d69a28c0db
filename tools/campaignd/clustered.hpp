#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "cx/v1/config.pb.h"
#include "runtime/catalog/store.hpp"
#include "runtime/cluster/coordinator.hpp"
#include "runtime/cluster/forwarder.hpp"
#include "runtime/entity/entities.hpp"
#include "runtime/journal/jetstream_journal.hpp"
#include "runtime/nats/jetstream.hpp"
#include "tools/campaignd/peers.hpp"

namespace cx {

/// A node's part in its cluster: the journal and the definitions, which are in NATS, membership, and the way
/// to the other nodes.
class Clustered final : public Peers {
 public:
  /// Reads what is new in the journal and among the definitions; may take a while. All outlive this. Refuses
  /// to begin a cluster anew where there is what this node knew alone ("not-migrated").
  static Result<std::unique_ptr<Clustered>> open(const v1::NodeConfig& config, Environment& environment,
                                                 nats::JetStream& jetstream);
  ~Clustered() override;

  JetStreamJournal& journal() { return *journal_; }
  DocumentStore& documents() { return *documents_; }

  /// Listens for other nodes, and makes the way to them that of `entities`, which are not started yet and
  /// which stop() comes before the end of.
  std::optional<Error> listen(caf::actor_system& system, Entities& entities, Metrics& metrics);
  /// Who answers other nodes' questions to this one: answer_question().
  void on_question(cluster::Forwarder::Answerer answerer) { forwarder_->on_question(std::move(answerer)); }
  /// Becomes a member, and gets shards. `http`: HOST:PORT of its HTTP gateway.
  std::optional<Error> join(const std::string& http);
  /// Gives the shards away, for `grace` at most, and leaves.
  void leave(std::chrono::milliseconds grace);
  /// Ends the links; what waits is answered. After the end of the entities, before that of the actor system.
  void stop();

  cluster::TopologyPtr topology() const override;
  void ask(const std::string& incarnation, MessagePtr question, Respond respond) override;
  std::optional<Error> drain(const std::string& node, bool drained) override;
  Result<std::vector<Move>> rebalance(bool dry_run) override;

 private:
  Clustered(const v1::NodeConfig& config, nats::JetStream& jetstream);

  const v1::NodeConfig config_;
  nats::JetStream& jetstream_;
  std::unique_ptr<JetStreamJournal> journal_;
  std::unique_ptr<DocumentStore> documents_;
  Entities* entities_ = nullptr;
  std::uint16_t port_ = 0;
  std::unique_ptr<cluster::Forwarder> forwarder_;
  std::unique_ptr<cluster::Coordinator> coordinator_;
};

}  // namespace cx
