// Benchmarks of the runtime: CAF client actors against regions, on a RocksDB journal or that of a cluster.
// Prints one JSON object a measurement, which tests/bench/bench makes a table of.

#include <CLI/CLI.hpp>
#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <mutex>
#include <rocksdb/db.h>
#include <sys/resource.h>
#include <unistd.h>

#include "blob.pb.h"
#include "cx/v1/config.pb.h"
#include "runtime/entity/entities.hpp"
#include "runtime/entity/kind_of.hpp"
#include "runtime/entity/messages.hpp"
#include "runtime/journal/jetstream_journal.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/system.hpp"

namespace cx::bench {
namespace {

constexpr std::size_t kStateBytes = 200;

struct Blob {
  static constexpr std::string_view kName = "blob";
  static constexpr std::uint32_t kSchema = 1;
  using State = BlobState;
  using Event = BlobState;
  using Commands = std::tuple<Put, PutRelaxed, Chain, Get>;

  /// "17:2", the second link of a chain, is of the shard of "17".
  static std::string_view affinity(std::string_view key) { return key.substr(0, key.find(':')); }

  static Outcome<Event, Version> put(const State& state, const std::string& data) {
    Outcome<Event, Version> out;
    auto& event = out.events.emplace_back();
    event.set_data(data);
    event.set_version(state.version() + 1);
    out.reply.set_version(event.version());
    return out;
  }
  static Outcome<Event, Version> handle(const State& state, const Put& put, const Context&) {
    return Blob::put(state, put.data());
  }
  static Outcome<Event, Version> handle(const State& state, const PutRelaxed& put, const Context&) {
    return Blob::put(state, put.data());
  }
  static Outcome<Event, Version> handle(const State& state, const Chain& chain, const Context& context) {
    auto out = put(state, chain.data());
    if (chain.links() == 0) return out;
    Chain next = chain;
    next.set_links(chain.links() - 1);
    out.send(fmt::format("blob/bench/{}:{}", affinity(context.key), chain.links()), std::move(next));
    return out;
  }
  static Version handle(const State& state, const Get&, const Context&) {
    Version version;
    version.set_version(state.version());
    return version;
  }
  static void apply(State& state, const Event& event) { state = event; }
};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::size_t resident_bytes() {
  std::size_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

struct Settings {
  std::string data;
  std::string nats;     ///< URL of the server that keeps the journal; empty: a RocksDB here does
  std::string cluster;  ///< whose journal it is there
  double seconds = 5;
  std::size_t entities = 20'000;
  std::size_t clients = 2;
  std::size_t outstanding = 512;
  unsigned regions = 4;
  unsigned threads = 2;
  std::size_t max_resident = 20'000'000;
};

/// To the NATS server of a cluster.
struct Nats {
  explicit Nats(const std::string& url) {
    v1::NatsConfig config;
    config.add_urls(url);
    config.set_timeout_ms(2000);
    auto opened = nats::Connection::open(config, "bench");
    if (!opened) throw std::runtime_error(opened.error().detail);
    connection = std::move(*opened);
    jetstream = std::make_unique<nats::JetStream>(*connection, std::chrono::seconds(20));
  }
  std::unique_ptr<Journal> journal(const Settings& s, const std::string& directory) {
    auto opened = JetStreamJournal::open({directory, system_environment(), *jetstream, s.cluster});
    if (!opened) throw std::runtime_error(opened.error().detail);
    return std::move(*opened);
  }

  std::unique_ptr<nats::Connection> connection;
  std::unique_ptr<nats::JetStream> jetstream;
};

/// A node without gateways.
struct Node {
  Node(const Settings& s, HostOptions options) : settings(s) {
    options.max_resident = s.max_resident;
    options.max_bytes = std::size_t{20} << 30;
    kinds.add(make_kind(Blob{}));
    if (!s.nats.empty()) {
      nats = std::make_unique<Nats>(s.nats);
      journal = nats->journal(s, s.data);
    } else {
      auto opened = RocksJournal::open(s.data, system_environment());
      if (!opened) throw std::runtime_error(opened.error().detail);
      journal = std::move(*opened);
    }
    entities = std::make_unique<Entities>(Entities::Parts{system, system_environment(), kinds, *journal,
                                                          commits, reads, metrics, "bench", groups(s)},
                                          options, true, s.regions);
    if (auto error = entities->start()) throw std::runtime_error(error->detail);
  }
  ~Node() { entities.reset(); }

  /// As campaignd has it.
  static unsigned groups(const Settings& s) { return s.nats.empty() ? 1 : s.regions; }
  static v1::ActorsConfig actors(const Settings& s) {
    v1::ActorsConfig config;
    config.set_threads(s.threads);
    config.set_throughput(300);
    return config;
  }

  const Settings& settings;
  Metrics metrics{"bench"};
  Kinds kinds;
  std::unique_ptr<Nats> nats;
  std::unique_ptr<Journal> journal;
  SystemConfig config{actors(settings)};
  caf::actor_system system{config};
  ThreadPool commits{groups(settings)}, reads{2};
  std::unique_ptr<Entities> entities;
};

using go_atom = caf::atom_constant<caf::atom("go")>;

struct Tally {
  std::atomic<std::uint64_t> answered{0}, failed{0};
  std::atomic<bool> stop{false};
};

/// Keeps `outstanding` commands under way until told to stop, or until `limit` are sent; the n-th goes to
/// `address(n)`.
class Client : public caf::event_based_actor {
 public:
  using Next = std::function<std::optional<std::uint64_t>()>;
  Client(caf::actor_config& config, const Node& node, MessagePtr command, Next next, std::size_t outstanding,
         Tally& tally)
      : event_based_actor(config),
        node_(node),
        command_(std::move(command)),
        next_(std::move(next)),
        outstanding_(outstanding),
        tally_(tally) {}

 protected:
  caf::behavior make_behavior() override {
    return {[this](go_atom) {
      for (std::size_t i = 0; i < outstanding_; ++i) ask();
      if (under_way_ == 0) quit();
    }};
  }

 private:
  void ask() {
    const auto which = tally_.stop.load(std::memory_order_relaxed) ? std::nullopt : next_();
    if (!which) {
      if (under_way_ == 0) quit();
      return;
    }
    auto command = node_.entities->request(fmt::format("blob/bench/{}", *which), command_);
    ++under_way_;
    request(node_.entities->region(command->shard), caf::infinite, std::move(*command))
        .then(
            [this](const MessagePtr&) {
              --under_way_;
              tally_.answered.fetch_add(1, std::memory_order_relaxed);
              ask();
            },
            [this](const caf::error&) {
              --under_way_;
              tally_.failed.fetch_add(1, std::memory_order_relaxed);
              ask();
            });
  }

  const Node& node_;
  const MessagePtr command_;
  const Next next_;
  const std::size_t outstanding_;
  std::size_t under_way_ = 0;
  Tally& tally_;
};

struct Run {
  std::uint64_t answered, failed;
  double seconds, cpu;
};

/// Lets clients ask for `seconds`, or until `next` has no more (seconds = 0).
Run load(Node& node, const MessagePtr& command, const std::function<Client::Next(std::size_t client)>& next,
         double seconds) {
  Tally tally;
  std::vector<caf::actor> clients;
  const auto& s = node.settings;
  const auto start = Clock::now();
  const auto cpu = cpu_seconds();
  for (std::size_t i = 0; i < s.clients; ++i) {
    clients.push_back(node.system.spawn<Client>(node, command, next(i), s.outstanding / s.clients, tally));
    caf::anon_send(clients.back(), go_atom::value);
  }
  if (seconds > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    const Run run{tally.answered, tally.failed, seconds_since(start), cpu_seconds() - cpu};
    tally.stop = true;
    caf::scoped_actor self{node.system};
    self->wait_for(clients);
    return run;
  }
  caf::scoped_actor self{node.system};
  self->wait_for(clients);
  return {tally.answered, tally.failed, seconds_since(start), cpu_seconds() - cpu};
}

/// Random entities, for ever.
auto random_entities(std::size_t entities) {
  return [entities](std::size_t client) -> Client::Next {
    return [random = std::make_shared<Random>(client + 1), entities]() -> std::optional<std::uint64_t> {
      return random->below(static_cast<std::uint32_t>(entities));
    };
  };
}

/// Each of [0, entities) once.
auto each_entity(std::size_t entities) {
  auto at = std::make_shared<std::atomic<std::uint64_t>>(0);
  return [at, entities](std::size_t) -> Client::Next {
    return [at, entities]() -> std::optional<std::uint64_t> {
      const auto n = at->fetch_add(1, std::memory_order_relaxed);
      return n < entities ? std::optional(n) : std::nullopt;
    };
  };
}

template <class Command>
MessagePtr put(std::size_t bytes = kStateBytes) {
  auto command = std::make_shared<Command>();
  command->set_data(std::string(bytes, 'x'));
  return command;
}

void check(const Run& run) {
  if (run.failed > 0)
    throw std::runtime_error(fmt::format("{} of {} commands failed", run.failed, run.failed + run.answered));
}

/// Plain RocksDB: as many records of `bytes` as fit into `seconds`, `group` to a synced write.
double plain_writes(const std::string& path, std::size_t bytes, std::size_t group, double seconds) {
  rocksdb::DB* raw = nullptr;
  rocksdb::Options options;
  options.create_if_missing = true;
  if (const auto status = rocksdb::DB::Open(options, path, &raw); !status.ok())
    throw std::runtime_error(status.ToString());
  const std::unique_ptr<rocksdb::DB> db(raw);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  Random random(7);
  std::string value(bytes, '\0');
  for (auto& c : value) c = static_cast<char>(random.next());
  const auto start = Clock::now();
  std::uint64_t n = 0;
  while (seconds_since(start) < seconds) {
    rocksdb::WriteBatch batch;
    for (std::size_t i = 0; i < group; ++i) batch.Put(fmt::format("{:010}", n++), value);
    if (const auto status = db->Write(synced, &batch); !status.ok())
      throw std::runtime_error(status.ToString());
  }
  return static_cast<double>(n) / seconds_since(start);
}

void durable(Settings s) {
  for (const auto outstanding : {std::size_t{64}, std::size_t{512}, std::size_t{4096}}) {
    s.outstanding = outstanding;
    const auto data = s.data + "/durable-" + std::to_string(outstanding);
    Settings own = s;
    own.data = data;
    Node node(own, {});
    check(load(node, put<PutRelaxed>(), each_entity(s.entities), 0));  // all in memory
    const auto bytes = node.journal->bytes_written();
    const auto commits = node.entities->commits();
    const auto run = load(node, put<Put>(), random_entities(s.entities), s.seconds);
    check(run);
    const auto groups = std::max<std::uint64_t>(1, node.entities->commits() - commits);
    const auto a_command =
        static_cast<double>(node.journal->bytes_written() - bytes) / static_cast<double>(run.answered);
    const auto group = std::max<double>(1, static_cast<double>(run.answered) / static_cast<double>(groups));
    const auto rate = static_cast<double>(run.answered) / run.seconds;
    const auto plain = plain_writes(data + "/plain", static_cast<std::size_t>(a_command),
                                    static_cast<std::size_t>(group + 0.5), s.seconds);
    fmt::print(
        "{{\"what\":\"durable\",\"outstanding\":{},\"per_second\":{:.0f},\"plain_per_second\":{:.0f},"
        "\"share\":{:.3f},"
        "\"group\":{:.1f},\"bytes\":{:.0f},\"cpu_us\":{:.2f}}}\n",
        outstanding, rate, plain, rate / plain, group, a_command,
        run.cpu * 1e6 / static_cast<double>(run.answered));
    std::fflush(stdout);
  }
}

/// `messages` of `bytes` to a stream of as many subjects as there are shards, `outstanding` not acknowledged
/// at once, without conditions.
class Publishes {
 public:
  Publishes(nats::JetStream& jetstream, std::string prefix, std::size_t bytes, std::size_t messages,
            std::size_t outstanding)
      : jetstream_(jetstream), prefix_(std::move(prefix)), left_(messages), open_(outstanding) {
    Random random(7);
    payload_.resize(bytes);
    for (auto& c : payload_) c = static_cast<char>(random.next());
    for (std::size_t i = 0; i < outstanding; ++i) next();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return open_ == 0; });
    if (failed_ > 0) throw std::runtime_error(fmt::format("{} plain publishes failed", failed_));
  }

 private:
  void next() {
    std::string subject;
    {
      std::lock_guard lock(mutex_);
      if (left_ == 0) {
        if (--open_ == 0) done_.notify_all();
        return;
      }
      subject = fmt::format("{}.{}", prefix_, --left_ % kShards);
    }
    jetstream_.publish(subject, payload_, {}, std::nullopt, [this](const Result<std::uint64_t>& stored) {
      if (!stored) {
        std::lock_guard lock(mutex_);
        ++failed_;
      }
      next();
    });
  }

  nats::JetStream& jetstream_;
  const std::string prefix_;
  std::string payload_;
  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t left_, open_, failed_ = 0;
};

/// Durable commands of one node of a cluster, against plain publishes of as many messages of the same size,
/// in turns; then what it costs another node to follow.
void in_cluster(Settings s) {
  constexpr int kRounds = 3;
  const auto data = s.data;
  for (const auto outstanding : {std::size_t{64}, std::size_t{512}, std::size_t{4096}}) {
    s.outstanding = outstanding;
    s.cluster = fmt::format("bench{}", outstanding);
    s.data = fmt::format("{}/{}", data, s.cluster);
    {
      Node node(s, {});
      auto& jetstream = *node.nats->jetstream;
      const nats::StreamConfig plain{.name = s.cluster + "_plain", .subjects = {s.cluster + ".plain.*"}};
      if (auto error = jetstream.ensure(plain)) throw std::runtime_error(error->detail);
      const auto stored = [&] {
        const auto state = jetstream.state(s.cluster + "_journal");
        if (!state) throw std::runtime_error(state.error().detail);
        return state->last;
      };
      check(load(node, put<PutRelaxed>(), each_entity(s.entities), 0));  // all in memory
      for (int round = 0; round < kRounds; ++round) {
        const auto bytes = node.journal->bytes_written();
        const auto first = stored();
        const auto run = load(node, put<Put>(), random_entities(s.entities), s.seconds / kRounds);
        check(run);
        const auto messages = std::max<std::uint64_t>(1, stored() - first);
        const auto each = (node.journal->bytes_written() - bytes) / messages;
        const auto cpu = cpu_seconds();
        const auto start = Clock::now();
        const Publishes publishes(jetstream, s.cluster + ".plain", each, messages, outstanding);
        const auto plain_rate = static_cast<double>(messages) / seconds_since(start);
        const auto plain_cpu = (cpu_seconds() - cpu) * 1e6 / static_cast<double>(messages);
        const auto rate = static_cast<double>(run.answered) / run.seconds;
        const auto per_message = static_cast<double>(run.answered) / static_cast<double>(messages);
        fmt::print(
            "{{\"what\":\"cluster\",\"outstanding\":{},\"per_second\":{:.0f},\"messages_per_second\":{:.0f},"
            "\"plain_per_second\":{:.0f},\"share\":{:.3f},\"bytes\":{},\"cpu_us\":{:.2f},\"plain_cpu_us\":{:."
            "2f}"
            "}}\n",
            outstanding, rate, rate / per_message, plain_rate, rate / per_message / plain_rate, each,
            run.cpu * 1e6 / static_cast<double>(run.answered), plain_cpu);
        std::fflush(stdout);
      }
    }
    Nats nats(s.nats);
    const auto cpu = cpu_seconds();
    const auto start = Clock::now();
    const auto copy = nats.journal(s, s.data + "-copy");
    const auto seconds = seconds_since(start);
    const auto used = cpu_seconds() - cpu;
    std::uint64_t records = 0;
    for (std::uint32_t shard = 0; shard < kShards; ++shard)
      if (const auto head = copy->head(shard)) records += head->last;
    const auto state = nats.jetstream->state(s.cluster + "_journal");
    if (!state) throw std::runtime_error(state.error().detail);
    fmt::print(
        "{{\"what\":\"follow\",\"records\":{},\"messages\":{},\"per_second\":{:.0f},\"cpu_us\":{:.2f}}}\n",
        records, state->messages, static_cast<double>(records) / seconds,
        used * 1e6 / static_cast<double>(std::max<std::uint64_t>(1, records)));
    std::fflush(stdout);
  }
}

void relaxed(const Settings& s) {
  Node node(s, {});
  check(load(node, put<PutRelaxed>(), each_entity(s.entities), 0));
  for (const auto size : {std::size_t{20}, kStateBytes}) {
    const auto bytes = node.journal->bytes_written();
    const auto run = load(node, put<PutRelaxed>(size), random_entities(s.entities), s.seconds);
    check(run);
    fmt::print(
        "{{\"what\":\"relaxed\",\"command_bytes\":{},\"per_second\":{:.0f},\"bytes\":{:.0f},\"cpu_us\":{:.2f}"
        "}}\n",
        size, static_cast<double>(run.answered) / run.seconds,
        static_cast<double>(node.journal->bytes_written() - bytes) / static_cast<double>(run.answered),
        run.cpu * 1e6 / static_cast<double>(run.answered));
  }
  const auto queries = load(node, std::make_shared<Get>(), random_entities(s.entities), s.seconds);
  check(queries);
  fmt::print("{{\"what\":\"query\",\"entities\":{},\"per_second\":{:.0f},\"cpu_us\":{:.2f}}}\n", s.entities,
             static_cast<double>(queries.answered) / queries.seconds,
             queries.cpu * 1e6 / static_cast<double>(queries.answered));
}

/// A command that sends a message within its shard, whose receiver sends another, and so on.
void chain(const Settings& s) {
  Node node(s, {});
  auto command = std::make_shared<Chain>();
  command->set_data(std::string(kStateBytes, 'x'));
  for (const std::uint32_t links : {0u, 3u}) {
    command->set_links(links);
    const MessagePtr sent = std::make_shared<Chain>(*command);
    check(load(node, sent, each_entity(s.entities), 0));  // all in memory
    const auto bytes = node.journal->bytes_written();
    const auto run = load(node, sent, random_entities(s.entities), s.seconds);
    check(run);
    fmt::print(
        "{{\"what\":\"chain\",\"links\":{},\"per_second\":{:.0f},\"bytes\":{:.0f},\"cpu_us\":{:.2f}}}\n",
        links, static_cast<double>(run.answered) / run.seconds,
        static_cast<double>(node.journal->bytes_written() - bytes) / static_cast<double>(run.answered),
        run.cpu * 1e6 / static_cast<double>(run.answered));
  }
}

/// All resident: what one costs.
void memory(const Settings& s) {
  Node node(s, {});
  const auto before = resident_bytes();
  check(load(node, put<PutRelaxed>(), each_entity(s.entities), 0));
  std::this_thread::sleep_for(std::chrono::duration<double>(2 * s.seconds + 2));  // snapshots are taken
  const auto after = resident_bytes();
  fmt::print("{{\"what\":\"memory\",\"entities\":{},\"live\":{},\"rss_mib\":{:.0f},\"bytes_each\":{:.0f}}}\n",
             s.entities, node.metrics.kind("blob").live.value(), static_cast<double>(after) / 1048576.0,
             static_cast<double>(after - before) / static_cast<double>(s.entities));
}

/// Writes many entities that go to disk, starts anew, and wakes some of them.
void cold(Settings s) {
  constexpr std::size_t kWoken = 300'000;
  s.max_resident = 100'000;
  {
    Node node(s, {});
    const auto run = load(node, put<PutRelaxed>(), each_entity(s.entities), 0);
    check(run);
    fmt::print("{{\"what\":\"create\",\"entities\":{},\"per_second\":{:.0f},\"rss_mib\":{:.0f}}}\n",
               s.entities, static_cast<double>(run.answered) / run.seconds,
               static_cast<double>(resident_bytes()) / 1048576.0);
  }
  std::uint64_t disk = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(s.data))
    if (file.is_regular_file()) disk += file.file_size();
  s.max_resident = 20'000'000;
  const auto before = resident_bytes();
  const auto start = Clock::now();
  Node node(s, {});
  fmt::print(
      "{{\"what\":\"start\",\"entities\":{},\"seconds\":{:.3f},\"disk_mib\":{:.0f},\"rss_grown_mib\":{:.0f}}}"
      "\n",
      s.entities, seconds_since(start), static_cast<double>(disk) / 1048576.0,
      (static_cast<double>(resident_bytes()) - static_cast<double>(before)) / 1048576.0);
  // Scattered over all of them, each once.
  const auto woken = std::min(kWoken, s.entities);
  const auto stride = s.entities / woken;
  auto at = std::make_shared<std::atomic<std::uint64_t>>(0);
  const auto run = load(
      node, std::make_shared<Get>(),
      [&](std::size_t) -> Client::Next {
        return [at, woken, stride]() -> std::optional<std::uint64_t> {
          const auto n = at->fetch_add(1, std::memory_order_relaxed);
          return n < woken ? std::optional(n * stride) : std::nullopt;
        };
      },
      0);
  check(run);
  fmt::print(
      "{{\"what\":\"activate\",\"entities\":{},\"woken\":{},\"per_second\":{:.0f},\"cpu_us\":{:.2f}}}\n",
      s.entities, woken, static_cast<double>(run.answered) / run.seconds,
      run.cpu * 1e6 / static_cast<double>(run.answered));
}

}  // namespace
}  // namespace cx::bench

int main(int argc, char** argv) {
  using namespace cx::bench;
  Settings settings;
  std::string what;
  CLI::App app("Benchmarks of the runtime");
  app.add_option("what", what, "durable, cluster, relaxed, chain, memory or cold")
      ->required()
      ->check(CLI::IsMember({"durable", "cluster", "relaxed", "chain", "memory", "cold"}));
  app.add_option("--data", settings.data, "Directory to write to")->required();
  app.add_option("--nats", settings.nats, "URL of an empty NATS server with JetStream, for cluster");
  app.add_option("--seconds", settings.seconds);
  app.add_option("--entities", settings.entities);
  app.add_option("--outstanding", settings.outstanding);
  app.add_option("--clients", settings.clients);
  app.add_option("--regions", settings.regions);
  app.add_option("--threads", settings.threads);
  CLI11_PARSE(app, argc, argv);
  try {
    std::filesystem::create_directories(settings.data);
    if (what == "durable") durable(settings);
    if (what == "cluster") in_cluster(settings);
    if (what == "relaxed") relaxed(settings);
    if (what == "chain") chain(settings);
    if (what == "memory") memory(settings);
    if (what == "cold") cold(settings);
  } catch (const std::exception& e) {
    fmt::print(stderr, "cx-bench-runtime: {}\n", e.what());
    return 1;
  }
  return 0;
}
