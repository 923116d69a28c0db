#include "tools/campaignd/publishing.hpp"

#include "actors/customer/announce.hpp"
#include "actors/customer/customer.hpp"
#include "actors/decision/announce.hpp"
#include "actors/decision/decision.hpp"
#include "actors/journey/announce.hpp"
#include "actors/journey/instance.hpp"
#include "tools/campaignd/projecting.hpp"

namespace cx {
namespace {

ProjectorOptions options_of(const v1::NodeConfig& config) {
  auto options = projector_options(config, std::chrono::milliseconds(20));
  options.max_backoff_ms = 5'000;  // that NATS is back is not noticed otherwise
  options.sync_every = std::chrono::seconds(2);
  return options;
}

}  // namespace

Publishing::Publishing(const v1::NodeConfig& config, nats::JetStream& jetstream, Journal& journal,
                       const Entities& entities, const Clock& clock, Metrics& metrics)
    : publisher_(jetstream,
                 {.prefix = config.nats().gateway().prefix(),
                  .replicas = config.nats().replicas(),
                  .hours = config.nats().gateway().publish_hours()},
                 {{std::string(Customer::kName), announce_customer},
                  {std::string(journey::InstanceEntity::kName), journey::announce_run},
                  {std::string(decision::DecisionEntity::kName), decision::announce_outcome}},
                 [&entities](std::uint32_t shard) { return entities.here(shard); }),
      thread_(1, kProjectingNiceness),
      projector_(journal, thread_, clock, options_of(config)) {
  projector_.add(publisher_);
  projector_.measure(metrics);
}

}  // namespace cx
