#include <CLI/CLI.hpp>
#include <atomic>
#include <caf/actor_system.hpp>
#include <chrono>
#include <fmt/format.h>
#include <iostream>
#include <thread>

#include "cx/v1/config.pb.h"
#include "runtime/entity/entities.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/system.hpp"
#include "tests/crash/lines.hpp"
#include "tests/crash/machine.hpp"
#include "tests/kinds/kinds.hpp"

// crash_node: the runtime with the test kinds on RocksDB, spoken to by lines on stdin and stdout (README.md).
// Ends in good order when stdin does.

namespace {

using namespace cx;
using namespace cx::test;

struct Flags {
  std::string data;
  unsigned regions = 2;
  double twice = 0;
  int sync_ms = 0;
  std::uint64_t power_until = 0, power_seed = 0;
  std::string sabotage, disk;
  HostOptions options;
};

int fail(const Error& error) {
  fmt::print(stderr, "crash_node does not start: {}: {}\n", error.type, error.detail);
  return 1;
}

v1::ActorsConfig actors_config() {
  v1::ActorsConfig config;
  config.set_threads(2);
  config.set_throughput(64);
  return config;
}

void prepare(const Flags& flags, Machine& machine) {
  auto& disk = machine.disk();
  if (flags.disk == "read-only")
    for (const auto operation : {FaultFiles::Operation::write, FaultFiles::Operation::create})
      disk.fail({.operation = operation, .failure = FaultFiles::Failure::read_only, .stays = true});
  disk.on_sync(
      [&machine, flags, syncs = std::make_shared<std::atomic<std::uint64_t>>(0)](const std::string& path) {
        if (++*syncs == flags.power_until) machine.lose_power(flags.power_seed);
        if (flags.sync_ms > 0 && path.ends_with(".log"))
          std::this_thread::sleep_for(std::chrono::milliseconds(flags.sync_ms));
      });
}

int run(Flags flags) {
  flags.options.sabotage.reply_early = flags.sabotage == "reply-early";
  flags.options.sabotage.no_dedupe = flags.sabotage == "no-dedupe";
  const bool sync_always = flags.sabotage != "no-sync";

  Machine machine(flags.twice);
  prepare(flags, machine);
  auto journal = RocksJournal::open(flags.data, machine);
  if (!journal) return fail(journal.error());
  const auto kinds = all_kinds();
  Metrics metrics("crash");
  Output output;
  SystemConfig config(actors_config());
  caf::actor_system system(config);
  ThreadPool commits(1), reads(2);
  Entities entities({system, machine, kinds, **journal, commits, reads, metrics, "crash"}, flags.options,
                    sync_always, flags.regions);
  if (const auto error = entities.start()) return fail(*error);
  machine.disk().lie_about_syncs(flags.sabotage == "lying-disk");

  output.line("ready");
  Lines lines(entities, **journal, machine, output);
  for (std::string line; std::getline(std::cin, line);) lines.handle(line);
  entities.stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  auto& options = flags.options;
  CLI::App app("A node to be killed.");
  app.add_option("data", flags.data, "Directory")->required();
  app.add_option("--regions", flags.regions, "Actors that share the shards");
  app.add_option("--max-resident", options.max_resident, "Entities in memory");
  app.add_option("--idle-ms", options.idle_ms, "Until an entity is put to sleep");
  app.add_option("--snapshot-ms", options.snapshot_ms, "Until a changed entity is snapshotted");
  app.add_option("--twice", flags.twice, "Chance of a message to be delivered twice");
  app.add_option("--sync-ms", flags.sync_ms, "How much longer every sync of the write-ahead log takes");
  app.add_option("--power-until", flags.power_until, "The power is lost when a file is synced the nth time");
  app.add_option("--power-seed", flags.power_seed, "Of what is left then of the files");
  app.add_option("--disk", flags.disk, "What is wrong with the disk")->check(CLI::IsMember({"read-only"}));
  app.add_option("--sabotage", flags.sabotage, "A mistake to make")
      ->check(CLI::IsMember({"reply-early", "no-dedupe", "no-sync", "lying-disk"}));
  CLI11_PARSE(app, argc, argv);
  std::ios::sync_with_stdio(false);
  return run(std::move(flags));
}
