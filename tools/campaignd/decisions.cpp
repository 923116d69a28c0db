#include "tools/campaignd/decisions.hpp"

#include "actors/decision/decision.hpp"
#include "runtime/entity/kind_of.hpp"
#include "tools/campaignd/projecting.hpp"

namespace cx {
namespace {

// Nobody waits for them, and bids are many: what comes together costs less.
constexpr auto kGather = std::chrono::milliseconds(250);

std::int64_t kept(const v1::NodeConfig& config) {
  return std::int64_t{config.decisions().retention_hours()} * 3'600'000;
}

}  // namespace

Decisions::Decisions(const Parts& parts)
    : parts_(parts),
      board_(parts.config.data() + "/projections/decisions", parts.environment.files(), kept(parts.config)),
      reader_(board_.rows(), parts.environment.clock(), kept(parts.config)),
      thread_(1, kProjectingNiceness),
      projector_(parts.journal, thread_, parts.environment.clock(),
                 projector_options(parts.config, kGather)) {
  projector_.add(board_);
  projector_.measure(parts.metrics);
}

void Decisions::add_kinds(Kinds& kinds) const {
  kinds.add(make_kind(decision::DecisionEntity{parts_.config.decisions().attribution_hours()}));
  kinds.follow(decision::DecisionEntity::kName);
}

void Decisions::serve(Services& services) {
  decision::add_decisions(services, reader_, parts_.executor);
}

}  // namespace cx
