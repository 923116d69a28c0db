#include "tools/campaignd/node.hpp"

#include <algorithm>
#include <atomic>
#include <caf/send.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/bidding/agent.hpp"
#include "actors/customer/demo_profiles.hpp"
#include "gateways/door.hpp"
#include "gateways/grpc/server.hpp"
#include "gateways/http/server.hpp"
#include "gateways/nats/gateway.hpp"
#include "gateways/openapi/docs.hpp"
#include "providers/inference/colanet/provider.hpp"
#include "providers/inference/linear.hpp"
#include "providers/inference/remote/backend.hpp"
#include "providers/inference/supervisor.hpp"
#include "runtime/agents.hpp"
#include "runtime/catalog/rocks_store.hpp"
#include "runtime/clock.hpp"
#include "runtime/entity/entities.hpp"
#include "runtime/entity/retention.hpp"
#include "runtime/journal/interval_sync.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/services.hpp"
#include "runtime/system.hpp"
#include "tools/campaignd/clustered.hpp"
#include "tools/campaignd/decisions.hpp"
#include "tools/campaignd/drained.hpp"
#include "tools/campaignd/journeys.hpp"
#include "tools/campaignd/management.hpp"
#include "tools/campaignd/operations.hpp"
#include "tools/campaignd/publishing.hpp"
#include "tools/version.hpp"

namespace cx {
namespace {

Result<bidding::Currencies> make_currencies(const v1::BiddingConfig& config) {
  return bidding::Currencies::from({config.currencies().begin(), config.currencies().end()});
}

bidding::Rules make_rules(const v1::BiddingConfig& config, bidding::Currencies currencies) {
  bidding::Rules rules;
  rules.seat = config.seat();
  rules.currencies = std::move(currencies);
  rules.cap.set_per_hour(config.cap_per_hour());
  rules.cap.set_per_day(config.cap_per_day());
  rules.candidates = config.candidates();
  rules.bid_anonymous = config.bid_anonymous();
  rules.default_tmax_ms = config.default_tmax_ms();
  rules.margin_ms = config.margin_ms();
  return rules;
}

inference::BatchPolicy make_policy(const v1::InferenceConfig& config) {
  return {.batch_items = config.batch_items(),
          .batch_wait = std::chrono::microseconds(config.batch_wait_us()),
          .pool = config.pool(),
          .own_threads = inference::remote::is_remote(config),
          .max_queue = config.max_queue()};
}

HostOptions make_options(const v1::EntitiesConfig& config, bool clustered) {
  HostOptions options;
  options.clustered = clustered;
  options.max_resident = config.max_resident();
  options.max_bytes = std::size_t{config.memory_mb()} << 20;
  options.idle_ms = std::int64_t{config.idle_seconds()} * 1000;
  options.snapshot_ms = std::int64_t{config.snapshot_seconds()} * 1000;
  options.entity_credit = config.entity_credit();
  options.shard_credit = config.shard_credit();
  options.outbox_credit = config.outbox_credit();
  options.delivery_attempts = config.delivery_attempts();
  options.strict = config.strict();
  return options;
}

}  // namespace

// Members are destroyed from the last to the first: gateways, then actors, then what actors use.
struct Node::Parts {
  explicit Parts(const v1::NodeConfig& c) : config(c), metrics(c.node()) {}

  v1::NodeConfig config;
  const Clock& clock = system_environment().clock();
  Metrics metrics;
  bidding::BidProbe bids;
  inference::BatchProbe batches;
  inference::remote::RemoteProbe remote_batches;
  std::shared_ptr<const bidding::Catalog> catalog;
  std::shared_ptr<const bidding::Rules> rules;
  std::shared_ptr<inference::colanet::ModelHolder> models;  // null where the stand-in scores
  std::atomic<bool> ready{false};
  std::atomic<bool> draining{false};

  Kinds kinds;
  std::unique_ptr<nats::Connection> nats;  // null where no servers are configured, as is what needs them
  std::unique_ptr<nats::JetStream> jetstream;
  std::unique_ptr<Clustered> clustered;  // null for a node that stands alone
  std::unique_ptr<Journal> own_journal;  // of one that does
  std::unique_ptr<DocumentStore> own_documents;
  Journal* journal = nullptr;
  std::unique_ptr<ThreadPool> commits, reads;
  std::unique_ptr<Management> management;
  std::unique_ptr<Journeys> journeys;
  std::unique_ptr<Decisions> decisions;
  std::unique_ptr<SystemConfig> system_config;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<IntervalSync> syncs;  // fsync: interval
  std::unique_ptr<Entities> entities;
  std::unique_ptr<Publishing> publishing;
  std::vector<caf::actor> actors;  // to be told to exit
  InferencePool scorers;           // one of them
  std::unique_ptr<AgentPool> agents;
  Services services;
  std::vector<Method> methods;
  std::unique_ptr<Door> door;
  std::unique_ptr<http::Server> http;
  std::unique_ptr<grpc_gateway::Server> grpc;
  std::unique_ptr<nats_gateway::Gateway> nats_gateway;

  std::optional<Error> open_storage(DocumentStore*& documents);
  std::optional<Error> start_entities();
  Operations operations() {
    return {metrics, *entities, clock, [this] { return draining.load(); }, clustered.get()};
  }
  Result<inference::ProviderFactory> open_model();
  void spawn_actors(inference::ProviderFactory make_provider);
  std::optional<Error> add_services();
  std::optional<Error> open_gateways();
  void add_metrics();
  void truncate_next();

  std::uint32_t to_truncate = 0;
  std::atomic<bool> truncating{false};
};

/// Where the journal and the definitions are: in NATS in a cluster, else in the node's own directory.
std::optional<Error> Node::Parts::open_storage(DocumentStore*& documents) {
  auto& environment = system_environment();
  if (!config.nats().urls().empty()) {
    auto connected = nats::Connection::open(config.nats(), "campaignd " + config.node());
    if (!connected) return connected.error();
    nats = std::move(*connected);
    jetstream =
        std::make_unique<nats::JetStream>(*nats, std::chrono::milliseconds(config.nats().timeout_ms()));
  }
  if (config.cluster().enabled()) {
    auto opened = Clustered::open(config, environment, *jetstream);
    if (!opened) return opened.error();
    clustered = std::move(*opened);
    journal = &clustered->journal();
    documents = &clustered->documents();
    return std::nullopt;
  }
  auto opened = RocksJournal::open(config.data(), environment);
  if (!opened) return opened.error();
  own_journal = std::move(*opened);
  journal = own_journal.get();
  auto store = RocksDocumentStore::open(config.data() + "/catalog", environment.files());
  if (!store) return store.error();
  own_documents = std::move(*store);
  documents = own_documents.get();
  return std::nullopt;
}

std::optional<Error> Node::Parts::start_entities() {
  DocumentStore* documents = nullptr;
  if (auto error = open_storage(documents)) return error;
  // In NATS the groups of all regions are stored side by side; on one disk they share a sync.
  const unsigned groups = clustered ? config.entities().regions() : 1;
  commits = std::make_unique<ThreadPool>(groups);
  // In a cluster each region may have one wait for NATS while it opens shards.
  reads = std::make_unique<ThreadPool>(config.journal().read_threads() +
                                       (clustered ? config.entities().regions() : 0));
  auto managed = Management::open(config, system_environment(), *journal, *documents, *reads, metrics);
  if (!managed) return managed.error();
  management = std::move(*managed);
  auto journeyed =
      Journeys::open({config, system_environment(), management->catalog(), *journal, *reads, metrics});
  if (!journeyed) return journeyed.error();
  journeys = std::move(*journeyed);
  journeys->add_kinds(kinds, demo_profile, config.demo().seed());
  Management::add_kinds(kinds);
  decisions =
      std::make_unique<Decisions>(Decisions::Parts{config, system_environment(), *journal, *reads, metrics});
  decisions->add_kinds(kinds);
  system_config = std::make_unique<SystemConfig>(config.actors(), config.cluster());
  system = std::make_unique<caf::actor_system>(*system_config);
  entities = std::make_unique<Entities>(Entities::Parts{*system, system_environment(), kinds, *journal,
                                                        *commits, *reads, metrics, config.node(), groups},
                                        make_options(config.entities(), clustered != nullptr),
                                        clustered != nullptr || config.journal().fsync() == "always",
                                        config.entities().regions());
  const auto follow = [this](std::uint32_t shard) {
    management->follow(shard);
    journeys->follow(shard);
    decisions->follow(shard);
    if (publishing) publishing->follow(shard);
  };
  entities->on_followed(follow);
  if (config.nats().gateway().publish())
    publishing = std::make_unique<Publishing>(config, *jetstream, *journal, *entities, clock, metrics);
  if (clustered) {
    clustered->journal().on_applied(follow);
    if (auto error = clustered->listen(*system, *entities, metrics)) return error;
    clustered->on_question([this](const MessagePtr& question, Respond respond) {
      answer_question(operations(), question, Services::Respond(std::move(respond)));
    });
  } else if (config.journal().fsync() == "interval") {
    syncs = std::make_unique<IntervalSync>(*journal,
                                           std::chrono::milliseconds(config.journal().fsync_interval_ms()));
  }
  if (auto error = entities->start()) return error;
  return journeys->start(*system, *entities);
}

/// Cuts what is too old off the log of one shard, the next in turn.
void Node::Parts::truncate_next() {
  const auto shard = to_truncate++ % kShards;
  if (!entities->here(shard) || truncating.exchange(true)) return;
  reads->post([this, shard] {
    const auto keep = std::int64_t{config.journal().retention_hours()} * 3'600'000;
    auto upto = std::min(
        {management->retain_after(shard), journeys->retain_after(shard), decisions->retain_after(shard)});
    if (publishing) upto = std::min(upto, publishing->retain_after(shard));
    const auto gone = truncate_shard(*journal, kinds, shard, {clock.unix_ms() - keep, upto});
    if (!gone) spdlog::error("The log of shard {} could not be truncated: {}", shard, gone.error().detail);
    if (clustered)
      if (const auto error = clustered->journal().checkpoint(shard))
        spdlog::warn("No checkpoint of shard {} was made: {}", shard, error->detail);
    truncating = false;
  });
}

/// Who scores: a model server elsewhere, if there is one; or else, and whenever that one does not answer, the
/// model file, or, without one, a stand-in.
Result<inference::ProviderFactory> Node::Parts::open_model() {
  inference::ProviderFactory make_provider;
  if (config.inference().model().empty()) {
    const auto model = std::make_shared<inference::LinearModel>(config.demo().seed(), config.demo().offers());
    make_provider = [model] { return std::make_unique<inference::LinearCpuProvider>(model); };
  } else {
    std::vector<std::string> offers;
    for (std::uint32_t row = 0; row < catalog->size(); ++row) offers.push_back(catalog->offer(row).id());
    auto opened = inference::colanet::ModelHolder::open(config.inference().model(), std::move(offers));
    if (!opened) return opened.error();
    models = std::move(*opened);
    make_provider = [this] { return std::make_unique<inference::colanet::ColanetProvider>(models); };
  }
  if (auto error = make_provider()->warm_up()) return *error;
  return inference::remote::make_backend(config.inference(), std::move(make_provider), clock, remote_batches);
}

void Node::Parts::spawn_actors(inference::ProviderFactory make_provider) {
  scorers = inference::spawn_supervisor(*system, make_policy(config.inference()), std::move(make_provider),
                                        clock, metrics, batches);

  auto& agent_kind = metrics.kind("bid-agent");
  std::vector<caf::actor> bid_agents;
  for (std::uint32_t i = 1; i <= config.bidding().agents(); ++i) {
    agent_kind.addresses.push_back(fmt::format("bid-agent/system/{}-{:02}", config.node(), i));
    bid_agents.push_back(bidding::spawn_bid_agent(
        *system, {config.tenant(), catalog, rules, entities.get(), scorers, &clock, &agent_kind, &bids}));
  }
  actors = bid_agents;
  actors.push_back(caf::actor_cast<caf::actor>(scorers));
  agents = std::make_unique<AgentPool>(std::move(bid_agents), config.bidding().agent_credit());
}

std::optional<Error> Node::Parts::add_services() {
  services.add("bid-agent", agents.get());
  add_operations(services, operations());
  journeys->serve(*entities, services);
  decisions->serve(services);
  if (auto error = management->serve(*entities, kinds, services)) return error;
  methods = methods_of(contract_services(), services);
  door = std::make_unique<Door>(management->authenticator(), system_environment(),
                                [this](const std::string& to, auto message, const auto& done) {
                                  auto request = entities->request(to, std::move(message));
                                  if (!request) return done(request.error());
                                  entities->ask(*std::move(request), [done](const Answer& answer) {
                                    done(answer ? std::nullopt : std::optional(answer.error()));
                                  });
                                });
  return std::nullopt;
}

std::optional<Error> Node::Parts::open_gateways() {
  const auto is_ready = [this] { return ready.load() && !draining.load() && batches.warm > 0; };
  http = std::make_unique<http::Server>(config.http(), methods, *door, metrics, is_ready);
  management->add_pages(*http);
  for (auto& page : openapi::documents(methods, {.version = std::string(kVersion)}))
    http->add(page.path, {page.content_type, std::move(page.body), "no-cache", page.security_policy});
  if (const auto port = http->start(); !port) return port.error();
  if (config.grpc().enabled()) {
    grpc = std::make_unique<grpc_gateway::Server>(config.grpc(), methods, *door, metrics, is_ready);
    const auto port = grpc->start();
    if (!port) return port.error();
    spdlog::info("grpc: {}:{}", config.grpc().host(), *port);
  }
  if (!config.nats().gateway().enabled()) return std::nullopt;
  nats_gateway = std::make_unique<nats_gateway::Gateway>(config, *nats, methods, *door, metrics, is_ready);
  return nats_gateway->start();
}

void Node::Parts::add_metrics() {
  pool::add_metrics(metrics, {{"channel", &journeys->channels()}, {"inference", &batches}});
  if (models) models->add_metrics(metrics);
  if (inference::remote::is_remote(config.inference()))
    inference::remote::add_metrics(metrics, remote_batches);
  const auto counter = [this](const char* name, const char* help, const Counter& from) {
    metrics.counter(name, help, [&from] { return static_cast<double>(from.value()); });
  };
  counter("cx_bids_total", "Bid requests answered with a bid.", bids.bid);
  counter("cx_no_bids_total", "Bid requests declined.", bids.no_bid);
  counter("cx_bid_timeouts_total", "Bid requests not decided within their time.", bids.timeout);
  counter("cx_bid_requests_invalid_total", "What was not a bid request.", bids.invalid);
  counter("cx_bid_failures_total", "Bid requests declined because a part was overloaded or broken.",
          bids.failed);
  counter("cx_inference_shed_total", "Inference requests refused because the queue was full.", batches.shed);
  counter("cx_inference_expired_total", "Inference requests past their deadline.", batches.expired);
  counter("cx_inference_failed_total", "Inference requests that the provider failed.", batches.failed);
  metrics.gauge("cx_inference_batch_items_mean", "Mean items a batch since the start.",
                [this] { return batches.items.read().mean(); });
  metrics.gauge("cx_inference_wait_seconds_p99", "99th percentile of the wait for a batch since the start.",
                [this] { return static_cast<double>(batches.wait_ns.read().percentile(99)) / 1e9; });
  const auto number = [this](const char* name, const char* help, auto read) {
    metrics.counter(name, help, [read] { return static_cast<double>(read()); });
  };
  number("cx_journal_commits_total", "Group commits.", [this] { return entities->commits(); });
  number("cx_journal_appends_total", "Appends of shards in group commits.",
         [this] { return entities->appends(); });
  number("cx_journal_bytes_total", "Bytes handed to the journal, keys included.",
         [this] { return journal->bytes_written(); });
  for (const auto& [quantile, percent] :
       {std::pair("0.5", 50.0), std::pair("0.99", 99.0), std::pair("1", 100.0)})
    metrics.gauge("cx_reminder_lateness_seconds", "How late reminders were handled since the start.",
                  [this, percent = percent] {
                    return static_cast<double>(entities->reminder_lateness().percentile(percent)) / 1e9;
                  },
                  {{"quantile", quantile}});
  metrics.gauge("cx_bids_under_way", "Bid requests with an agent.",
                [this] { return static_cast<double>(agents->under_way()); });
}

std::optional<Error> check(const v1::NodeConfig& config) {
  const auto needs_nats = [&config](bool wanted, const char* setting) -> std::optional<Error> {
    if (!wanted || !config.nats().urls().empty()) return std::nullopt;
    return Error{Code::invalid_argument, "invalid-configuration",
                 fmt::format("{} needs NATS servers: set nats.urls, to nats://127.0.0.1:4222, say.", setting),
                 ""};
  };
  const auto& announce = config.cluster().announce();
  if (const auto colon = announce.rfind(':');
      !announce.empty() && (colon == 0 || colon == announce.npos || colon + 1 == announce.size()))
    return Error{Code::invalid_argument, "invalid-configuration",
                 fmt::format("cluster.announce is \"{}\", and has to be HOST:PORT.", announce), ""};
  const auto& gateway = config.nats().gateway();
  for (const auto& [wanted, setting] : {std::pair(config.cluster().enabled(), "cluster.enabled"),
                                        std::pair(gateway.enabled(), "nats.gateway.enabled"),
                                        std::pair(gateway.publish(), "nats.gateway.publish")})
    if (auto error = needs_nats(wanted, setting)) return error;
  if (auto error = inference::remote::check_backend(config.inference())) return error;
  const auto currencies = make_currencies(config.bidding());
  return currencies ? std::nullopt : std::optional(currencies.error());
}

Node::Node(const v1::NodeConfig& config) : parts_(std::make_unique<Parts>(config)) {}

Node::~Node() {
  Parts& p = *parts_;
  p.nats_gateway.reset();
  p.grpc.reset();
  p.http.reset();
  if (p.clustered) p.clustered->leave(std::chrono::milliseconds(0));
  if (p.journeys) p.journeys->stop();
  if (p.entities) p.entities->stop();
  if (p.clustered) p.clustered->stop();
  p.publishing.reset();
  if (p.reads) p.reads->stop();  // it works with all that is destroyed before it
  for (const auto& actor : p.actors) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
}

std::optional<Error> Node::start() {
  Parts& p = *parts_;
  const auto& config = p.config;
  auto currencies = make_currencies(config.bidding());
  if (!currencies) return currencies.error();
  p.rules = std::make_shared<bidding::Rules>(make_rules(config.bidding(), std::move(*currencies)));
  const auto& demo = config.demo();
  p.catalog =
      std::make_shared<bidding::Catalog>(bidding::demo_offers(demo.seed(), demo.offers(), demo.campaigns()));
  auto make_provider = p.open_model();
  if (!make_provider) return make_provider.error();
  if (auto error = p.start_entities()) return error;
  p.spawn_actors(std::move(*make_provider));
  if (auto error = p.add_services()) return error;
  p.add_metrics();
  if (auto error = p.open_gateways()) return error;
  if (p.clustered)
    if (auto error = p.clustered->join(fmt::format("{}:{}", config.http().host(), p.http->port())))
      return error;
  p.ready = true;
  const auto* scheme = config.http().tls().certificate().empty() ? "http" : "https";
  spdlog::info("ready: {}://{}:{} tenant={} offers={} campaigns={} agents={}", scheme, config.http().host(),
               p.http->port(), config.tenant(), demo.offers(), demo.campaigns(), config.bidding().agents());
  return std::nullopt;
}

void Node::tick() {
  parts_->metrics.tick(1.0);
  parts_->management->tick();
  parts_->journeys->tick();
  parts_->decisions->tick();
  if (parts_->publishing) parts_->publishing->tick();
  parts_->truncate_next();
}

void Node::drain(std::chrono::milliseconds grace) {
  const auto end = std::chrono::steady_clock::now() + grace;
  const auto left = [end] {
    return std::max(std::chrono::milliseconds(0), std::chrono::duration_cast<std::chrono::milliseconds>(
                                                      end - std::chrono::steady_clock::now()));
  };
  // Clients are served to the end: what they ask of shards that have left goes there.
  if (parts_->clustered) parts_->clustered->leave(grace);
  parts_->draining = true;
  if (parts_->nats_gateway) parts_->nats_gateway->drain(left());
  parts_->http->drain(left());
  if (parts_->grpc) parts_->grpc->drain(left());
  // Nobody asks any more; what was asked is scored, a batch that a model server has is waited for.
  if (!drained([this](auto done) { inference::drain(parts_->scorers, std::move(done)); }, left()))
    spdlog::warn("Predictions were under way after {} ms, and are given up.", grace.count());
  parts_->journeys->drain(left());
}

}  // namespace cx
