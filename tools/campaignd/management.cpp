#include "tools/campaignd/management.hpp"

#include <filesystem>

#include "actors/access/login.hpp"
#include "actors/audit/archive.hpp"
#include "actors/audit/audit.hpp"
#include "actors/audit/reader.hpp"
#include "actors/campaign/board.hpp"
#include "actors/campaign/campaign.hpp"
#include "actors/campaign/lists.hpp"
#include "actors/campaign/submission.hpp"
#include "gateways/auth/access.hpp"
#include "runtime/catalog/serve.hpp"
#include "runtime/entity/kind_of.hpp"
#include "runtime/entity/serve.hpp"
#include "runtime/environment/environment.hpp"
#include "tools/campaignd/projecting.hpp"

namespace cx {

namespace {

constexpr auto kGather = std::chrono::milliseconds(100);

std::optional<Error> make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return std::nullopt;
  return Error{Code::unavailable, "storage-failed",
               "Cannot make the directory " + path + ": " + error.message() + "; check --data.", ""};
}

}  // namespace

// Destroyed from the last to the first: what others work with comes before them.
struct Management::Parts {
  Parts(const v1::NodeConfig& c, Environment& environment, Journal& journal, Executor& e)
      : config(c),
        executor(e),
        archive(files("audit.db")),
        board(files("campaigns.db")),
        audit(files("audit.db"), environment.clock()),
        lists(files("campaigns.db"), environment.clock()),
        projector(journal, projecting, environment.clock(), projector_options(config, kGather)) {}

  std::string files(const char* name) const { return config.data() + "/projections/" + name; }

  const v1::NodeConfig config;
  Executor& executor;
  const Entities* entities = nullptr;  // from serve() on

  ThreadPool watching{1};
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<auth::Access> access;

  AuditArchive archive;
  CampaignBoard board;
  AuditReader audit;
  CampaignLists lists;
  ThreadPool projecting{1, kProjectingNiceness};
  Projector projector;
};

Management::Management(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Management::~Management() = default;

void Management::add_kinds(Kinds& kinds) {
  kinds.add(make_kind(Campaign{}));
  kinds.add(make_kind(Audit{}));
  kinds.add(make_kind(Login{}));
  kinds.follow(Campaign::kName);
  kinds.follow(Audit::kName);
}

Result<std::unique_ptr<Management>> Management::open(const v1::NodeConfig& config, Environment& environment,
                                                     Journal& journal, DocumentStore& store,
                                                     Executor& executor, Metrics& metrics) {
  auto parts = std::make_unique<Parts>(config, environment, journal, executor);
  Parts& p = *parts;
  auto made = make_directory(config.data() + "/projections");
  if (made) return *std::move(made);
  p.catalog = std::make_unique<Catalog>(store, environment.clock(), p.watching);
  auth::define_access_documents(*p.catalog);
  define_approval_rules(*p.catalog);

  const bool demo = config.demo().anonymous_bids();
  auto access = auth::Access::open({
      .config = config.auth(),
      .tenant = config.tenant(),
      .data = config.data(),
      .anonymous_bids = demo,
      .clock = environment.clock(),
      .catalog = *p.catalog,
      .ask =
          [&p](const std::string& to, auth::MessagePtr command, const auto& answer) {
            auto request = p.entities->request(to, std::move(command));
            if (!request) return answer(request.error());
            p.entities->ask(*std::move(request), answer);
          },
      .in_cluster = config.cluster().enabled(),
  });
  if (!access) return access.error();
  p.access = std::move(*access);

  p.projector.add(p.archive);
  p.projector.add(p.board);
  p.projector.measure(metrics);
  return std::unique_ptr<Management>(new Management(std::move(parts)));
}

void Management::follow(std::uint32_t shard) {
  parts_->projector.notify(shard);
}

std::optional<Error> Management::serve(const Entities& entities, const Kinds& kinds, Services& services) {
  Parts& p = *parts_;
  p.entities = &entities;
  const auto contract = contract_services();
  p.access->add_to(services);
  add_audit(services, p.audit, p.executor);
  add_campaign_lists(services, p.lists, p.executor,
                     [&access = *p.access](const auto& tenant, const auto& actor) {
                       return access.roles_of(tenant, actor);
                     });
  serve_entities(contract, kinds, entities, services);
  serve_documents(contract, *p.catalog, p.executor, services);
  add_rules_to_submissions(services, *p.catalog, p.executor);
  return p.access->bootstrap();
}

const Authenticator& Management::authenticator() const {
  return parts_->access->authenticator();
}

Catalog& Management::catalog() {
  return *parts_->catalog;
}

void Management::add_pages(http::Server& server) const {
  server.add("/.well-known/jwks.json", "application/jwk-set+json",
             [&access = *parts_->access] { return RawReply::document(access.jwks()); });
}

std::uint64_t Management::retain_after(std::uint32_t shard) const {
  return parts_->projector.retain_after(shard);
}

void Management::tick() {
  parts_->catalog->poll();
  parts_->access->tick();
  parts_->projector.poll();
}

}  // namespace cx
