#include <atomic>
#include <csignal>
#include <filesystem>
#include <fmt/core.h>

#include "cx/v1/config.pb.h"
#include "runtime/catalog/jetstream_store.hpp"
#include "runtime/config.hpp"
#include "runtime/environment/environment.hpp"
#include "runtime/journal/migrate.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "tools/campaignctl/command.hpp"
#include "tools/campaignctl/io.hpp"

namespace cx::ctl {
namespace json = boost::json;

namespace {

std::atomic<bool> interrupted{false};

Failure failure_of(const Error& error) {
  const bool again = error.type == "interrupted" || error.code == Code::unavailable;
  return {error.type == "interrupted" ? Exit::interrupted
          : again                     ? Exit::unreachable
                                      : Exit::server_failed,
          error.type,
          error.detail + (again ? " Run the same command again: it goes on where it stopped." : ""), ""};
}

/// Says how far it is when a tenth more is done, and stops where somebody interrupts.
OnMigration teller(bool quiet) {
  return [quiet, said = std::string()](const MigrationProgress& now) mutable {
    auto line = now.all == 0 ? fmt::format("{}: {} …", now.stage, now.done / 1000 * 1000)
                             : fmt::format("{}: {} %", now.stage, now.done * 100 / now.all / 10 * 10);
    if (!quiet && line != said) say(line);
    said = std::move(line);
    return !interrupted.load();
  };
}

Outcome<v1::NodeConfig> config_of(const Call& call) {
  v1::NodeConfig config;
  config.set_data("./data");
  config.mutable_nats()->set_replicas(1);
  config.mutable_nats()->set_timeout_ms(2'000);
  config.mutable_cluster()->set_name("cx");
  if (call.has("config"))
    if (const auto error = read_yaml_file(call.value("config"), config)) return usage(error->detail);
  for (const auto& [flag, key] :
       {std::pair("data", "data"), std::pair("nats-urls", "nats.urls"),
        std::pair("cluster-name", "cluster.name"), std::pair("nats-replicas", "nats.replicas")})
    if (call.has(flag))
      if (const auto error = set_setting(config, key, call.value(flag), fmt::format("--{}", flag)))
        return usage(error->detail);
  if (config.nats().urls().empty())
    return usage(
        "where is the cluster? Give --nats-urls nats://HOST:4222, or the --config of one of its nodes");
  std::error_code none;
  if (!std::filesystem::exists(config.data() + "/journal", none))
    return usage(
        fmt::format("{} is not the data directory of a node that stood alone: it has no journal; give --data",
                    config.data()));
  return config;
}

Outcome<Report> migrate(const Call& call) {
  const auto config = config_of(call);
  if (!config) return config.error();
  auto& environment = system_environment();
  interrupted = false;
  std::signal(SIGINT, [](int) { interrupted = true; });
  const auto progress = teller(call.has("quiet"));

  auto from = RocksJournal::open(config->data(), environment);
  if (!from) return failure_of(from.error());
  auto documents = RocksDocumentStore::open(config->data() + "/catalog", environment.files());
  if (!documents) return failure_of(documents.error());
  auto connection = nats::Connection::open(config->nats(), "campaignctl storage migrate");
  if (!connection) return failure_of(connection.error());
  nats::JetStream jetstream(**connection, std::chrono::milliseconds(config->nats().timeout_ms()));
  const auto work = config->data() + "/migration";
  JetStreamJournal::Parts parts{work, environment, jetstream, config->cluster().name()};
  parts.replicas = config->nats().replicas();
  auto to = JetStreamJournal::open(std::move(parts));
  if (!to) return failure_of(to.error());
  const auto moved = migrate_journal(**from, **to, progress);
  if (!moved) return failure_of(moved.error());
  auto shared = JetStreamDocumentStore::open(
      jetstream, {.cluster = config->cluster().name(), .replicas = config->nats().replicas()},
      work + "/catalog", environment.files());
  if (!shared) return failure_of(shared.error());
  const auto revisions = migrate_documents(**documents, **shared, progress);
  if (!revisions) return failure_of(revisions.error());
  to->reset();
  shared->reset();
  std::error_code left;  // its copies are of no use to anybody
  std::filesystem::remove_all(work, left);

  Report report;
  json::object values{{"shards", moved->shards}, {"skipped", moved->skipped}, {"records", moved->records},
                      {"rows", moved->rows},     {"bytes", moved->bytes},     {"revisions", *revisions},
                      {"outcome", "verified"}};
  for (const auto& value : values) report.columns.push_back({std::string(value.key())});
  report.document = to_json(values, true);
  report.rows = {{config->data(), std::move(values)}};
  report.notes = {
      fmt::format("next: start the nodes with --cluster-enabled true --cluster-name {} and the same "
                  "--nats-urls; {} stays as it was",
                  config->cluster().name(), config->data())};
  return report;
}

}  // namespace

std::vector<Command> storage_commands() {
  Command noun{"storage", "Where a node keeps what it knows", {}};
  Command verb{"storage migrate",
               "Copy what a node that stood alone has into NATS, for a cluster",
               {"campaignctl storage migrate --nats-urls nats://127.0.0.1:4222",
                "campaignctl storage migrate --config node.yaml --data /var/lib/campaign"}};
  verb.details =
      "The node is stopped, and no node of the cluster runs yet. Everything is compared on both sides before "
      "the "
      "command says that it is done; interrupted, it goes on where it stopped. Nothing is taken away from "
      "the old "
      "directory.";
  verb.flags = {
      {"data", 0, "DIR", "The node's data directory; ./data by default", {}, Offer::files},
      {"nats-urls", 0, "URLS", "NATS servers of the cluster, with commas between"},
      {"cluster-name", 0, "NAME", "The cluster's name; cx by default"},
      {"nats-replicas", 0, "N", "Servers that keep a copy of everything; 1 by default"},
      {"config", 0, "FILE", "A node's configuration, for data, nats and cluster.name", {}, Offer::files},
      kNoHeaders};
  verb.effect = Effect::changes;
  verb.run = migrate;
  return {std::move(noun), std::move(verb)};
}

}  // namespace cx::ctl
