#include "actors/customer/decide.hpp"

// What decisions are told of the catalog.

namespace cx {

MessagePtr Customer::facts(const State&, const v1::TakeEvent& command, const Context& context) const {
  const auto name = name_of(command);
  if (journeys == nullptr || name.empty()) return nullptr;
  auto started = journeys->started_by(context.tenant, name);
  if (started.empty()) return nullptr;
  auto out = std::make_shared<v1::CustomerFacts>();
  for (auto& journey : started) *out->add_journeys() = std::move(journey);
  return out;
}

MessagePtr Customer::facts(const State&, const v1::TriggerJourney& command, const Context& context) const {
  if (journeys == nullptr) return nullptr;
  auto active = journeys->active(context.tenant, command.id());
  const auto exists = [&] {
    return journeys->stage(context.tenant, command.id()) != v1::JOURNEY_STAGE_DRAFT ||
           journeys->find(context.tenant, command.id(), 1) != nullptr;
  };
  if (!active && !exists()) return nullptr;
  auto out = std::make_shared<v1::CustomerFacts>();
  if (active)
    *out->add_journeys() = *std::move(active);
  else
    out->add_journeys()->set_journey(command.id());
  return out;
}

MessagePtr Customer::policy_facts(const Context& context) const {
  const auto revision = policies == nullptr ? 0 : policies->current(context.tenant);
  if (revision == 0) return nullptr;
  auto out = std::make_shared<v1::CustomerFacts>();
  out->set_policy(revision);
  return out;
}

Result<delivery::PolicyPtr> Customer::policy_of(const Context& context) const {
  const auto* facts = context.facts_as<v1::CustomerFacts>();
  if (facts == nullptr || facts->policy() == 0) return delivery::PolicyPtr();
  if (policies != nullptr)
    if (auto policy = policies->find(context.tenant, facts->policy())) return policy;
  return Error{Code::unavailable, "policy-not-loaded",
               "Revision " + std::to_string(facts->policy()) +
                   " of the delivery policy is not loaded yet. Try again in a second.",
               ""};
}

}  // namespace cx
