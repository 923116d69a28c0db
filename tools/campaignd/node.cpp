#include "tools/campaignd/node.hpp"

#include <atomic>
#include <caf/send.hpp>
#include <filesystem>
#include <fmt/chrono.h>
#include <spdlog/spdlog.h>

#include "actors/bidding/agent.hpp"
#include "actors/customer/customer.hpp"
#include "actors/customer/demo_profiles.hpp"
#include "cx/v1/operations.pb.h"
#include "gateways/grpc/server.hpp"
#include "gateways/http/server.hpp"
#include "providers/inference/linear.hpp"
#include "providers/inference/supervisor.hpp"
#include "runtime/agents.hpp"
#include "runtime/clock.hpp"
#include "runtime/region.hpp"
#include "runtime/services.hpp"
#include "runtime/system.hpp"
#include "tools/version.hpp"

namespace cx {
namespace {

using google::protobuf::Message;

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
          .max_queue = config.max_queue()};
}

RegionLimits make_limits(const v1::ActorsConfig& config) {
  return {.max_resident = config.max_resident(),
          .max_asleep = config.max_asleep(),
          .idle_ms = std::int64_t{config.idle_seconds()} * 1000};
}

std::optional<Error> make_data_directory(const std::string& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (!failure) return std::nullopt;
  return Error{Code::unavailable, "no-data-directory",
               fmt::format("The data directory {} cannot be created: {}. Choose another one with --data.",
                           path, failure.message()),
               ""};
}

}  // namespace

// Members are destroyed from the last to the first: gateways, then actors, then what actors use.
struct Node::Parts {
  explicit Parts(const v1::NodeConfig& c) : config(c), metrics(c.node()) {}

  v1::NodeConfig config;
  SystemClock clock;
  Metrics metrics;
  bidding::BidProbe bids;
  inference::BatchProbe batches;
  std::shared_ptr<const bidding::Catalog> catalog;
  std::shared_ptr<const bidding::Rules> rules;
  std::atomic<bool> ready{false};
  std::atomic<bool> draining{false};

  std::unique_ptr<SystemConfig> system_config;
  std::unique_ptr<caf::actor_system> system;
  std::vector<caf::actor> actors;  // to be told to exit
  std::unique_ptr<AgentPool> agents;
  Services services;
  std::unique_ptr<http::Server> http;
  std::unique_ptr<grpc_gateway::Server> grpc;

  void spawn_actors(const std::shared_ptr<const inference::LinearModel>& model);
  void add_services();
  void add_metrics();
};

void Node::Parts::spawn_actors(const std::shared_ptr<const inference::LinearModel>& model) {
  system_config = std::make_unique<SystemConfig>(config.actors());
  system = std::make_unique<caf::actor_system>(*system_config);

  auto& region_kind = metrics.kind("customer-region");
  region_kind.addresses = {"customer-region/system/" + config.node()};
  const auto region = system->spawn<Region<Customer>>(region_kind, metrics.kind("customer"), clock,
                                                      Customer{demo_profile, config.demo().seed()},
                                                      make_limits(config.actors()));
  const auto customers = caf::actor_cast<CustomerRegion>(caf::actor_cast<caf::strong_actor_ptr>(region));
  const auto pool = inference::spawn_supervisor(
      *system, make_policy(config.inference()),
      [model] { return std::make_unique<inference::LinearCpuProvider>(model); }, clock, metrics, batches);

  auto& agent_kind = metrics.kind("bid-agent");
  std::vector<caf::actor> bid_agents;
  for (std::uint32_t i = 1; i <= config.bidding().agents(); ++i) {
    agent_kind.addresses.push_back(fmt::format("bid-agent/system/{}-{:02}", config.node(), i));
    bid_agents.push_back(bidding::spawn_bid_agent(
        *system, {config.tenant(), catalog, rules, customers, pool, &clock, &agent_kind, &bids}));
  }
  actors = bid_agents;
  actors.push_back(caf::actor_cast<caf::actor>(pool));
  actors.push_back(region);
  agents = std::make_unique<AgentPool>(std::move(bid_agents), config.bidding().agent_credit());
}

void Node::Parts::add_services() {
  services.add("bid-agent", agents.get());
  services.add("cx.v1.Operations.Topology", [this](const Message&) -> Result<std::unique_ptr<Message>> {
    auto reply = std::make_unique<v1::TopologyReply>();
    const auto now =
        std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto ms = now.time_since_epoch().count() % 1000;
    reply->set_as_of(fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                                 fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms));
    auto& node = *reply->add_nodes();
    metrics.fill(node);
    node.set_state(draining ? "draining" : "ok");
    return std::unique_ptr<Message>(std::move(reply));
  });
  services.add("cx.v1.Operations.Version", [](const Message&) -> Result<std::unique_ptr<Message>> {
    auto reply = std::make_unique<v1::VersionReply>();
    reply->set_version(std::string(kVersion));
    reply->set_commit(std::string(kCommit));
    reply->set_build(std::string(kBuild));
    return std::unique_ptr<Message>(std::move(reply));
  });
}

void Node::Parts::add_metrics() {
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
  metrics.gauge("cx_bids_under_way", "Bid requests with an agent.",
                [this] { return static_cast<double>(agents->under_way()); });
}

std::optional<Error> check(const v1::NodeConfig& config) {
  const auto currencies = make_currencies(config.bidding());
  return currencies ? std::nullopt : std::optional(currencies.error());
}

Node::Node(const v1::NodeConfig& config) : parts_(std::make_unique<Parts>(config)) {}

Node::~Node() {
  Parts& p = *parts_;
  p.grpc.reset();
  p.http.reset();
  for (const auto& actor : p.actors) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
}

std::optional<Error> Node::start() {
  Parts& p = *parts_;
  const auto& config = p.config;
  if (auto error = make_data_directory(config.data())) return error;
  auto currencies = make_currencies(config.bidding());
  if (!currencies) return currencies.error();
  p.rules = std::make_shared<bidding::Rules>(make_rules(config.bidding(), *std::move(currencies)));
  const auto& demo = config.demo();
  p.catalog =
      std::make_shared<bidding::Catalog>(bidding::demo_offers(demo.seed(), demo.offers(), demo.campaigns()));
  const auto model = std::make_shared<inference::LinearModel>(demo.seed(), demo.offers());
  if (auto error = inference::LinearCpuProvider(model).warm_up()) return error;
  p.spawn_actors(model);
  p.add_services();
  p.add_metrics();

  const auto is_ready = [&p] { return p.ready.load() && !p.draining.load(); };
  p.http = std::make_unique<http::Server>(config.http(), p.services, p.metrics, is_ready);
  if (const auto port = p.http->start(); !port) return port.error();
  if (config.grpc().enabled()) {
    p.grpc = std::make_unique<grpc_gateway::Server>(config.grpc(), p.services, p.metrics, is_ready);
    const auto port = p.grpc->start();
    if (!port) return port.error();
    spdlog::info("grpc: {}:{}", config.grpc().host(), *port);
  }
  p.ready = true;
  spdlog::info("ready: http://{}:{} tenant={} offers={} campaigns={} agents={}", config.http().host(),
               p.http->port(), config.tenant(), demo.offers(), demo.campaigns(), config.bidding().agents());
  return std::nullopt;
}

void Node::tick() {
  parts_->metrics.tick(1.0);
}

void Node::drain(std::chrono::milliseconds grace) {
  const auto end = std::chrono::steady_clock::now() + grace;
  parts_->draining = true;
  parts_->http->drain(grace);
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  if (parts_->grpc) parts_->grpc->drain(std::max(left, std::chrono::milliseconds(0)));
}

}  // namespace cx
