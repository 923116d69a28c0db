#include "actors/journey/simulate.hpp"

#include <algorithm>
#include <unordered_set>

#include "actors/journey/parts.hpp"
#include "actors/journey/sandbox.hpp"

namespace cx::journey {
namespace {

constexpr std::int64_t kHorizon = 366LL * 86'400'000;
const std::string kTenant = "simulation";

/// The one journey that there is, active from the beginning.
class OneBook final : public Book {
 public:
  explicit OneBook(DefinitionPtr definition) : definition_(std::move(definition)) {
    active_.set_journey(definition_->journey().id());
    active_.set_revision(definition_->journey().revision());
  }
  DefinitionPtr find(std::string_view, std::string_view, std::uint64_t) const override { return definition_; }
  std::vector<v1::JourneyRevision> started_by(std::string_view, std::string_view event) const override {
    if (definition_->trigger_event() != event) return {};
    return {active_};
  }
  std::optional<v1::JourneyRevision> active(std::string_view, std::string_view) const override {
    return active_;
  }
  v1::JourneyStage stage(std::string_view, std::string_view) const override {
    return v1::JOURNEY_STAGE_ACTIVE;
  }

 private:
  const DefinitionPtr definition_;
  v1::JourneyRevision active_;
};

class OnePolicy final : public delivery::Policies {
 public:
  explicit OnePolicy(delivery::PolicyPtr policy) : policy_(std::move(policy)) {}
  std::uint64_t current(std::string_view) const override { return policy_ ? 1 : 0; }
  delivery::PolicyPtr find(std::string_view, std::uint64_t) const override { return policy_; }

 private:
  const delivery::PolicyPtr policy_;
};

}  // namespace

struct Simulation::State {
  State(DefinitionPtr d, SimulationOptions o, OnMessage m)
      : definition(d), options(std::move(o)), on_message(std::move(m)), book(d), policies(options.policy) {
    std::set<std::pair<std::string, v1::Channel>> needed;
    for (const auto& step : definition->journey().steps()) {
      report.steps.push_back({step.id(), 0, 0, 0, 0, 0});
      if (step.has_send())
        needed.emplace(step.send().purpose().empty() ? definition->purpose() : step.send().purpose(),
                       step.send().channel());
    }
    for (const auto& [purpose, channel] : needed) {
      auto& consent = consents.emplace_back();
      consent.set_purpose(purpose);
      consent.set_channel(channel);
      consent.set_granted(true);
    }
    sandbox.on_customer = [this](const std::string& key, const v1::CustomerEvent& event) {
      if (event.has_taken()) ++report.events;
      if (event.has_message()) told(key, event.message());
    };
    sandbox.on_instance = [this](const std::string&, const v1::InstanceEvent& event) {
      if (event.has_begun()) ++report.started;
      if (event.has_entered()) ++step(event.entered().step()).entered;
      if (event.has_ended())
        ++(event.ended().status() == v1::RUN_STATUS_COMPLETED ? report.completed : report.exited);
    };
  }

  SimulatedStep& step(const std::string& id) {
    return report.steps[static_cast<std::size_t>(definition->parts().by_id.at(id))];
  }

  void told(const std::string& customer, const v1::MessageChanged& message) {
    auto& at = step(message.step());
    if (message.what() == "sent")
      ++at.sent;
    else if (message.what() == "refused")
      ++at.refused;
    else if (message.what() == "deferred")
      ++at.deferred;
    else
      return;
    if (!on_message) return;
    const auto* ready = definition->parts().step(message.step());
    on_message({sandbox.now(), customer, ready->rule, message.what(), message.rule(), message.detail()});
  }

  /// False once the end is reached.
  Result<bool> arrive(const std::string& customer, std::int64_t at) {
    if (options.until != 0 && at > options.until) return false;
    if (auto error = sandbox.advance(std::max(at, sandbox.now()))) return *error;
    if (!known.insert(customer).second || options.consent != SimulationOptions::Consent::all) return true;
    for (const auto& consent : consents) {
      v1::CustomerEvent event;
      *event.mutable_consent()->mutable_consent() = consent;
      event.mutable_consent()->mutable_consent()->set_at(at);
      sandbox.apply(customer, event);
    }
    return true;
  }

  const DefinitionPtr definition;
  const SimulationOptions options;
  const OnMessage on_message;
  const OneBook book;
  const OnePolicy policies;
  Sandbox sandbox{book, &policies, kTenant, 0};
  std::vector<v1::Consent> consents;
  std::unordered_set<std::string> known;
  SimulationReport report;
};

Simulation::Simulation(std::unique_ptr<State> state) : state_(std::move(state)) {}
Simulation::~Simulation() = default;

Result<std::unique_ptr<Simulation>> Simulation::make(v1::Journey journey, SimulationOptions options,
                                                     OnMessage on_message) {
  journey.set_id("journey");
  journey.set_revision(1);
  auto definition = Definition::compile(journey);
  if (!definition) return definition.error();
  if ((*definition)->trigger_event().empty())
    return Error{
        Code::invalid_argument, "not-triggered-by-event",
        "The journey is started by API calls, of which a history of events has none. To simulate it, give "
        "it the trigger \"event\" for the time being.",
        "/trigger"};
  return std::unique_ptr<Simulation>(new Simulation(
      std::make_unique<State>(std::move(*definition), std::move(options), std::move(on_message))));
}

std::optional<Error> Simulation::take(const std::string& customer, v1::TakeEvent event) {
  const auto there = state_->arrive(customer, event.at());
  if (!there) return there.error();
  if (!*there) return std::nullopt;
  const auto before = state_->report.events;
  auto error = state_->sandbox.tell("customer/" + kTenant + "/" + customer, std::move(event));
  if (!error && state_->report.events == before) ++state_->report.duplicates;
  return error;
}

std::optional<Error> Simulation::take(const std::string& customer, const v1::Consent& consent) {
  const auto there = state_->arrive(customer, consent.at());
  if (!there) return there.error();
  if (!*there || state_->options.consent != SimulationOptions::Consent::recorded) return std::nullopt;
  v1::CustomerEvent event;
  *event.mutable_consent()->mutable_consent() = consent;
  state_->sandbox.apply(customer, event);
  return std::nullopt;
}

Result<SimulationReport> Simulation::finish() {
  auto& state = *state_;
  const auto until = state.options.until != 0 ? state.options.until : state.sandbox.now() + kHorizon;
  if (auto error = state.sandbox.advance(until)) return *error;
  state.report.until = until;
  state.report.customers = state.known.size();
  for (const auto& [key, instance] : state.sandbox.instances())
    if (is_running(instance)) ++state.step(instance.step()).there;
  return state.report;
}

}  // namespace cx::journey
