#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cx/v1/journal.pb.h"
#include "runtime/entity/host.hpp"
#include "runtime/entity/route.hpp"
#include "runtime/journal/journal.hpp"
#include "runtime/telemetry/metrics.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/kinds/commands.hpp"
#include "tests/kinds/kinds.hpp"

namespace cx::test {

/// Of a command; see Request.
struct Envelope {
  std::string source = {};
  std::uint64_t sequence = 0;
  std::uint64_t settled = 0;
  std::int64_t deadline = 0;
  std::string actor = {};
  std::string trace = {};
  bool here_only = false;
};

struct WorldOptions {
  std::uint64_t seed = 1;
  unsigned hosts = 1;
  std::vector<std::uint32_t> shards{3, 17, 512, 1023};
  HostOptions host = {};
  bool shuffled = false;         ///< tasks run in random order, instead of that of their queue
  const Kinds* kinds = nullptr;  ///< by default all_kinds()
  bool clustered = false;        ///< each host is a node of a cluster: shards move between them
  bool unfenced = false;         ///< the journal takes any epoch, and any record for the next one
};

/// A node without threads and without CAF: hosts that share a few shards, one journal on files in memory.
/// What a host has done elsewhere waits in a queue until the test runs it, one task at a time, and no time
/// passes but by advance(). The same seed and the same calls lead to the same run.
class World {
 public:
  World() : World(WorldOptions{}) {}
  explicit World(WorldOptions options);
  ~World();

  // The node.
  std::optional<Error> start();
  /// Ends it in order; false if it never said that it is done.
  bool stop();
  /// What a SIGKILL leaves: the files as written, and what is in the network.
  void crash();
  /// What a power cut leaves: the files as synced, and with a seed, chance bits of what was not.
  void lose_power(std::uint64_t keep = 0);
  void restart();
  bool running() const { return journal_ != nullptr; }

  // What happens.
  /// Runs one task that is due; false if there is none.
  bool step();
  /// Runs tasks until none is left; their number.
  std::size_t run();
  /// Lets time pass a tick at a time, and runs what it leads to.
  void advance(std::int64_t ms);
  /// One tick of the hosts, `ms` later, and nothing of what it leads to.
  void tick(std::int64_t ms = Host::kTick);
  /// Who takes what is sent to endpoints: answers now, later or never. By default there is nobody.
  std::function<void(const Letter&, const Respond&)> endpoint;
  /// Tells the hosts that there is somebody now.
  void connected(std::string_view name);
  /// Sees what goes to the journal, right before it does.
  std::function<void(const Append&)> on_append;
  // A cluster: all hosts share one journal, and the placement says who is to have a shard; at first its hosts
  // take turns. Commands go to whom the placement names, and wait while it is not there.
  struct Place {
    unsigned host = 0;
    std::uint64_t epoch = 0;
  };
  Place place(std::uint32_t shard) const { return placement_.at(shard); }
  /// As planned: the host that has it gives it away, then the other one takes it.
  void move(std::uint32_t shard, unsigned to);
  /// Somebody takes it in the next epoch, and nobody tells the host that has it.
  void seize(std::uint32_t shard, unsigned by);
  void release(std::uint32_t shard, const std::function<void()>& released);
  void drop(std::uint32_t shard);
  /// Has its host take it as the placement says.
  void take(std::uint32_t shard);
  Host& host(unsigned number) const;
  /// Whether the host says that it is there.
  bool here(unsigned host, std::uint32_t shard) const;
  std::size_t elsewhere() const;  ///< commands that wait
  /// A sender who knows an older placement: the host that gets a command instead, or nothing.
  std::function<std::optional<unsigned>(const Request&)> misroute;
  std::function<void(unsigned host, ShardEpoch)> on_lost;

  void hold_commits(bool hold) { hold_commits_ = hold; }
  void hold_work(bool hold) { hold_work_ = hold; }

  // Commands.
  /// Where an answer arrives. A command is answered once at most.
  using Reply = std::shared_ptr<std::optional<Answer>>;
  Reply send(const std::string& address, MessagePtr command, const Envelope& envelope = {});
  template <class Command>
  Reply send(const std::string& address, const Command& command, const Envelope& envelope = {}) {
    return send(address, MessagePtr(std::make_shared<Command>(command)), envelope);
  }
  /// send() and run(); an error of type "no-answer" where there is none.
  template <class Command>
  Answer ask(const std::string& address, const Command& command, const Envelope& envelope = {}) {
    return answer_of(send(address, command, envelope));
  }
  /// ask() where nothing but success is expected; throws.
  template <class Command>
  void tell(const std::string& address, const Command& command, const Envelope& envelope = {}) {
    if (const auto answer = ask(address, command, envelope); !answer)
      throw std::runtime_error(address + ": " + answer.error().type + ": " + answer.error().detail);
  }
  Result<v1::Snapshot> inspect(const std::string& address);
  std::optional<Error> resolve(const v1::DeadLetter& letter, bool replay);

  // The kinds that exist for tests.
  std::int64_t add(const std::string& address, std::int64_t n) { return total_of(ask(address, make_add(n))); }
  std::int64_t total(const std::string& address) { return total_of(ask(address, GetTotal())); }
  std::int64_t balance(const std::string& address);
  std::uint64_t rings(const std::string& address);
  /// Of an answered Total; -1 for an error.
  static std::int64_t total_of(const Answer& answer);

  /// The address of the n-th entity of a kind: of shard shards[n % shards.size()].
  std::string entity(std::string_view kind, unsigned n) const;
  std::uint32_t shard_at(unsigned n) const { return options_.shards[n % options_.shards.size()]; }

  // What to look at.
  ShardStatus status(std::uint32_t shard) const;
  ShardStatus status(std::uint32_t shard, unsigned host) const;
  std::uint64_t resident() const;
  std::vector<v1::JournalRecord> records(std::uint32_t shard) const;
  std::vector<v1::DeadLetter> dead_letters() const;
  std::size_t rows(Table table) const;
  /// A row of a table as its message, when there is one.
  std::optional<v1::Snapshot> stored_snapshot(const std::string& address) const;

  Journal& journal() { return *journal_; }
  Host& host_of(std::uint32_t shard) const;
  const Kinds& kinds() const { return *options_.kinds; }
  KindProbe& probe(const std::string& kind) { return metrics_.kind(kind); }
  std::int64_t now() const { return environment.clock().unix_ms(); }
  FaultEnvironment environment;
  WorldOptions options_;  ///< those of hosts count from the next start() on

 private:
  class Port;
  struct Task {
    enum Kind { work, commit, message } kind;
    std::function<void()> run;
  };
  struct Waiting {
    std::vector<Append> appends;
    HostPort::Committed then;
  };
  void post(Task::Kind kind, std::function<void()> run) { tasks_.push_back({kind, std::move(run)}); }
  void commit_group();
  Host& target(const Request& request) const;
  void dispatch(const Request& request, const Respond& respond);
  bool due(const Task& task) const;
  Answer answer_of(const Reply& reply);

  Random order_;
  Metrics metrics_{"test"};
  std::unique_ptr<Journal> journal_;
  std::uint64_t life_ = 0;  ///< what was posted in an earlier one no longer happens
  std::vector<std::unique_ptr<Port>> ports_;
  std::deque<Task> tasks_;
  std::multimap<std::int64_t, std::function<void()>> timers_;
  std::vector<Waiting> to_commit_;
  std::map<std::uint32_t, Place> placement_;
  std::map<std::uint32_t, std::deque<std::pair<Request, Respond>>> elsewhere_;  ///< by shard
  bool hold_commits_ = false, hold_work_ = false;
};

}  // namespace cx::test
