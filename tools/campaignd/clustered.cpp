#include "tools/campaignd/clustered.hpp"

#include <cstdlib>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "runtime/address.hpp"
#include "runtime/catalog/jetstream_store.hpp"
#include "runtime/environment/environment.hpp"
#include "tools/version.hpp"

namespace cx {
namespace {

constexpr std::chrono::seconds kPatience{2};  // with other nodes' answers to operators
// A checkpoint ends with a purge, during which the whole stream stands still: rarely.
constexpr std::uint64_t kCheckpointBytes = std::uint64_t{64} << 20;

/// For tests of the tests: they have to notice that nodes write what is no longer theirs.
bool fence_is_off() {
  const char* set = std::getenv("CX_TEST_NO_FENCE");
  return set != nullptr && std::string_view(set) == "1";
}

/// A node that stood alone would begin anew in a cluster that knows nothing. It must not by mistake: the
/// cluster would then have something of its own, and no longer take what the node knew.
std::optional<Error> check_migrated(const v1::NodeConfig& config, Environment& environment,
                                    const Journal& journal) {
  const auto alone = config.data() + "/journal";
  if (!environment.files().FileExists(alone).ok()) return std::nullopt;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    const auto head = journal.head(shard);
    if (!head) return head.error();
    if (!(*head == Head{})) return std::nullopt;
  }
  return Error{
      Code::conflict, "not-migrated",
      fmt::format("{} holds what this node knew when it stood alone, and the cluster {} knows nothing "
                  "yet. To bring it along, run `campaignctl storage migrate --data {} --cluster-name "
                  "{}` with the --nats-urls of this node, and start again; to begin without it, move {} "
                  "away.",
                  alone, config.cluster().name(), config.data(), config.cluster().name(), alone),
      ""};
}

}  // namespace

Clustered::Clustered(const v1::NodeConfig& config, nats::JetStream& jetstream)
    : config_(config), jetstream_(jetstream) {}

Clustered::~Clustered() {
  stop();
}

Result<std::unique_ptr<Clustered>> Clustered::open(const v1::NodeConfig& config, Environment& environment,
                                                   nats::JetStream& jetstream) {
  std::unique_ptr<Clustered> made(new Clustered(config, jetstream));
  JetStreamJournal::Parts parts{config.data(), environment, jetstream, config.cluster().name()};
  parts.replicas = config.nats().replicas();
  parts.checkpoint_bytes = kCheckpointBytes;
  parts.sabotage.no_fence = fence_is_off();
  if (parts.sabotage.no_fence)
    spdlog::warn("CX_TEST_NO_FENCE is set: this node corrupts what it shares with others");
  auto journal = JetStreamJournal::open(std::move(parts));
  if (!journal) return journal.error();
  made->journal_ = std::move(*journal);
  if (auto error = check_migrated(config, environment, *made->journal_)) return std::move(*error);
  auto documents = JetStreamDocumentStore::open(
      jetstream, {.cluster = config.cluster().name(), .replicas = config.nats().replicas()},
      config.data() + "/catalog", environment.files());
  if (!documents) return documents.error();
  made->documents_ = std::move(*documents);
  return made;
}

std::optional<Error> Clustered::listen(caf::actor_system& system, Entities& entities, Metrics& metrics) {
  entities_ = &entities;
  forwarder_ = std::make_unique<cluster::Forwarder>(cluster::Forwarder::Parts{
      system,
      [&entities](Request request, Respond respond) { entities.ask(std::move(request), std::move(respond)); },
      entities.kinds(), system_environment().clock(), metrics, config_.cluster(), config_.node(),
      std::string(kVersion)});
  const auto port = forwarder_->listen();
  if (!port) return port.error();
  port_ = *port;
  entities.set_elsewhere(forwarder_->actor());
  return std::nullopt;
}

std::optional<Error> Clustered::join(const std::string& http) {
  const auto& config = config_.cluster();
  v1::Member member;
  member.set_node(config_.node());
  member.set_host(config.host());
  member.set_port(port_);
  if (const auto& announce = config.announce(); !announce.empty()) {
    const auto colon = announce.rfind(':');
    member.set_host(announce.substr(0, colon));
    member.set_port(static_cast<std::uint32_t>(std::atoi(announce.c_str() + colon + 1)));
  }
  member.set_weight(config.weight());
  member.set_version(std::string(kVersion));
  member.set_lease_ms(config.lease_ms());
  member.set_http(http);
  coordinator_ = std::make_unique<cluster::Coordinator>(cluster::Coordinator::Parts{
      jetstream_.connection(), *entities_, system_environment(), config.name(), config_.nats().replicas(),
      std::move(member), [this](const cluster::TopologyPtr& topology) { forwarder_->update(topology); }});
  return coordinator_->join();
}

void Clustered::leave(std::chrono::milliseconds grace) {
  if (coordinator_) coordinator_->leave(grace);
}

void Clustered::stop() {
  coordinator_.reset();
  if (journal_) journal_->on_applied({});
  forwarder_.reset();  // while there is an actor system
}

cluster::TopologyPtr Clustered::topology() const {
  if (auto known = coordinator_ ? coordinator_->topology() : nullptr;
      known && known->placement.shards_size() > 0)
    return known;
  auto none = std::make_shared<cluster::Topology>();
  none->placement = cluster::empty_placement(kShards);
  return none;
}

void Clustered::ask(const std::string& incarnation, MessagePtr question, Respond respond) {
  forwarder_->ask_node(incarnation, std::move(question), kPatience, std::move(respond));
}

std::optional<Error> Clustered::drain(const std::string& node, bool drained) {
  auto error = drained ? coordinator_->drain(node) : coordinator_->undrain(node);
  if (error && error->type == "unknown-node") error->pointer = "/node";
  return error;
}

Result<std::vector<Peers::Move>> Clustered::rebalance(bool dry_run) {
  std::vector<Move> moves;
  for (auto& move : dry_run ? coordinator_->plan() : coordinator_->rebalance())
    moves.push_back({move.shard, std::move(move.from), std::move(move.to)});
  return moves;
}

}  // namespace cx
