#include "tools/campaignd/journeys.hpp"

#include <caf/send.hpp>

#include "actors/customer/later.hpp"
#include "actors/customer/policies.hpp"
#include "actors/customer/timeline.hpp"
#include "actors/customer/timeline_reader.hpp"
#include "actors/intake/agent.hpp"
#include "actors/intake/intake.hpp"
#include "actors/journey/board.hpp"
#include "actors/journey/instance.hpp"
#include "actors/journey/reconcile.hpp"
#include "providers/channels/catalog.hpp"
#include "providers/channels/channels.hpp"
#include "providers/channels/probe.hpp"
#include "runtime/entity/kind_of.hpp"
#include "runtime/entity/serve.hpp"
#include "tools/campaignd/drained.hpp"
#include "tools/campaignd/projecting.hpp"

namespace cx {
namespace {

constexpr std::uint32_t kIntakeAgents = 2, kIntakeCredit = 2'048;  // of each kind of call
constexpr auto kTimelineLook = std::chrono::milliseconds(10);
constexpr int kReconcileSeconds = 3;
// A timeline is waited for, and does not wait for the board. An event that starts a journey makes seven
// records of both: read one by one, they would cost more than the decisions did.
constexpr unsigned kProjecting = 2;
constexpr auto kGather = std::chrono::milliseconds(50), kGatherRuns = std::chrono::milliseconds(250);

AskEntity ask_of(const Entities& entities) {
  return [&entities](const CallContext& call, const std::string& to, MessagePtr command, Respond respond) {
    auto request = request_for(call, entities, to, std::move(command));
    if (!request) return respond(request.error());
    entities.ask(*std::move(request), std::move(respond));
  };
}

}  // namespace

// Destroyed from the last to the first: what others work with comes before them.
struct Journeys::State {
  explicit State(const Parts& p)
      : parts(p),
        book(p.catalog, [this] { seconds = 0; }),
        policies(p.catalog),
        accounts(p.catalog),
        timeline(files("customers.db")),
        board(files("journeys.db")),
        timelines(files("customers.db"), p.environment.clock()),
        runs(files("journeys.db"), p.environment.clock()),
        lifecycle(p.catalog, book),
        later(p.executor, kTimelineLook),
        projector(p.journal, projecting, p.environment.clock(), projector_options(p.config, kGather)) {}

  std::string files(const char* name) const { return parts.config.data() + "/projections/" + name; }

  const Parts parts;
  std::atomic<int> seconds{0};  // until the reconciler looks again
  journey::CatalogBook book;
  delivery::CatalogPolicies policies;
  channels::CatalogAccounts accounts;
  channels::Probe messages;
  intake::IntakeProbe events;

  CustomerTimeline timeline;
  journey::JourneyBoard board;
  TimelineReader timelines;
  journey::RunLists runs;
  journey::Lifecycle lifecycle;
  ThreadPool work{1};  // stages, which wait for the book, and the reconciler
  Later later;
  std::unique_ptr<journey::Reconciler> reconciler;
  std::unique_ptr<intake::IntakeAgents> agents;
  caf::actor channels;
  std::vector<caf::actor> actors;  // to be told to exit
  ThreadPool projecting{kProjecting, kProjectingNiceness};
  Projector projector;

  void add_metrics();
};

void Journeys::State::add_metrics() {
  const auto counter = [this](const char* outcome, const Counter& from) {
    parts.metrics.counter("cx_events_total", "Events by what became of them.",
                          [&from] { return static_cast<double>(from.value()); }, {{"outcome", outcome}});
  };
  counter("accepted", events.accepted);
  counter("duplicate", events.duplicates);
  counter("rejected", events.rejected);
  counter("put-off", events.put_off);
  channels::add_metrics(parts.metrics, messages);
}

Journeys::Journeys(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journeys::~Journeys() = default;

Result<std::unique_ptr<Journeys>> Journeys::open(const Parts& parts) {
  const auto& names = parts.config.channels().allow_private();
  auto allowed = net::PrivateHosts::parse(std::vector<std::string>(names.begin(), names.end()));
  if (!allowed) return allowed.error();
  journey::define_journeys(parts.catalog);
  delivery::define_delivery_policies(parts.catalog);
  channels::define_channel_documents(parts.catalog, std::move(*allowed));
  auto state = std::make_unique<State>(parts);
  state->projector.add(state->timeline);
  state->projector.add(state->board, kGatherRuns);
  state->projector.measure(parts.metrics);
  state->add_metrics();
  return std::unique_ptr<Journeys>(new Journeys(std::move(state)));
}

void Journeys::add_kinds(Kinds& kinds, Customer::Profiles profiles, std::uint64_t seed) {
  const State& s = *state_;
  kinds.add(make_kind(Customer{profiles, seed, &s.book, &s.policies}));
  kinds.add(make_kind(journey::InstanceEntity{&s.book}));
  kinds.add(make_kind(Intake{}));
  kinds.add_endpoint(channels::kEndpoint, {&v1::DispatchMessage::default_instance()});
  kinds.follow(Customer::kName);
  kinds.follow(journey::InstanceEntity::kName);
}

std::optional<Error> Journeys::start(caf::actor_system& system, Entities& entities) {
  State& s = *state_;
  const auto& clock = s.parts.environment.clock();
  auto channels = channels::spawn_channels(system, {.config = s.parts.config.channels(),
                                                    .customers = entities,
                                                    .accounts = s.accounts,
                                                    .clock = clock,
                                                    .seed = s.parts.environment.random(),
                                                    .metrics = s.parts.metrics,
                                                    .probe = s.messages});
  if (!channels) return channels.error();
  s.channels = *channels;
  s.actors.push_back(*channels);
  entities.connect(channels::kEndpoint, std::move(*channels));
  s.agents = std::make_unique<intake::IntakeAgents>(
      system, intake::AgentParts{&entities, &clock, &s.parts.metrics.kind("intake-agent"), &s.events},
      kIntakeAgents, kIntakeCredit);
  s.actors.insert(s.actors.end(), s.agents->actors().begin(), s.agents->actors().end());
  s.reconciler = std::make_unique<journey::Reconciler>(
      s.book, s.runs, s.work, [&entities](const std::string& to, std::function<void()> done) {
        auto request = entities.request(to, std::make_shared<v1::ReconsiderRun>());
        if (!request || !entities.here(request->shard)) return done();  // its owner sees to it
        entities.ask(*std::move(request), [done = std::move(done)](const Answer&) { done(); });
      });
  return std::nullopt;
}

void Journeys::serve(const Entities& entities, Services& services) {
  State& s = *state_;
  s.agents->serve(services);
  journey::add_lifecycle(services, s.lifecycle, s.work, ask_of(entities));
  journey::add_reports(services, s.runs, s.lifecycle, s.parts.catalog, s.parts.executor);
  add_timeline(services, s.timelines, s.parts.executor, s.later, ask_of(entities));
}

void Journeys::follow(std::uint32_t shard) {
  state_->projector.notify(shard);
}

std::uint64_t Journeys::retain_after(std::uint32_t shard) const {
  return state_->projector.retain_after(shard);
}

void Journeys::tick() {
  State& s = *state_;
  s.projector.poll();
  if (!s.reconciler || s.seconds.fetch_sub(1) > 0) return;
  s.seconds = kReconcileSeconds - 1;
  s.reconciler->poll();
}

void Journeys::drain(std::chrono::milliseconds patience) {
  drained([this](auto done) { channels::drain_channels(state_->channels, std::move(done)); }, patience);
}

void Journeys::stop() {
  State& s = *state_;
  s.channels = nullptr;
  for (const auto& actor : s.actors) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  s.actors.clear();
  s.reconciler.reset();
}

const pool::Probe& Journeys::channels() const {
  return state_->messages.pool;
}

}  // namespace cx
