#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <condition_variable>
#include <doctest/doctest.h>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "runtime/address.hpp"
#include "runtime/entity/entities.hpp"
#include "runtime/entity/region.hpp"
#include "runtime/journal/rocks_journal.hpp"
#include "runtime/random.hpp"
#include "runtime/system.hpp"
#include "tests/faults/fault_environment.hpp"
#include "tests/kinds/commands.hpp"
#include "tests/kinds/kinds.hpp"
#include "tests/virtual_time.hpp"

// Group commits of several regions, side by side.

namespace cx::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 30s;  // for what must come; nobody waits for it but where a test fails

/// A journal that knows what is under way in it.
class Watched final : public Journal {
 public:
  explicit Watched(Journal& journal) : journal_(journal) {}

  /// Called in each append, before anything is written; which of them fail, and are not written, is for it to
  /// say. Set while nothing is under way.
  std::function<std::set<std::uint32_t>(std::span<const Append>)> during;

  std::vector<std::optional<Error>> append(std::span<const Append> appends, bool sync) override {
    {
      const std::lock_guard lock(mutex_);
      most_ = std::max(most_, ++under_way_);
      for (const auto& append : appends)
        if (!busy_.insert(append.shard).second) ++overlaps_;
    }
    const auto failing = during ? during(appends) : std::set<std::uint32_t>();
    std::vector<Append> rest;
    for (const auto& append : appends)
      if (!failing.contains(append.shard)) rest.push_back(append);
    auto written = journal_.append(rest, sync);
    std::vector<std::optional<Error>> results;
    auto next = written.begin();
    for (const auto& append : appends)
      if (failing.contains(append.shard))
        results.emplace_back(Error{Code::unavailable, "storage-failed", "By order of the test.", ""});
      else
        results.push_back(std::move(*next++));
    const std::lock_guard lock(mutex_);
    --under_way_;
    for (const auto& append : appends) busy_.erase(append.shard);
    return results;
  }

  /// Calls of append() at once, at most.
  int most() const {
    const std::lock_guard lock(mutex_);
    return most_;
  }
  /// Appends to a shard while another one to it was under way.
  int overlaps() const {
    const std::lock_guard lock(mutex_);
    return overlaps_;
  }

  std::vector<Result<Head>> open(std::span<const std::uint32_t> shards,
                                 std::optional<std::uint64_t> epoch) override {
    return journal_.open(shards, epoch);
  }
  std::optional<Error> sync() override { return journal_.sync(); }
  Result<Head> head(std::uint32_t shard) const override { return journal_.head(shard); }
  std::optional<Error> read(std::uint32_t shard, std::uint64_t after,
                            const VisitRecord& visit) const override {
    return journal_.read(shard, after, visit);
  }
  std::vector<Result<std::optional<std::string>>> get(Table table,
                                                      std::span<const RowKey> keys) const override {
    return journal_.get(table, keys);
  }
  std::optional<Error> scan(Table table, std::uint32_t shard, std::string_view from,
                            const VisitRow& visit) const override {
    return journal_.scan(table, shard, from, visit);
  }
  std::optional<Error> truncate(std::uint32_t shard, std::uint64_t upto,
                                std::span<const Write> bases) override {
    return journal_.truncate(shard, upto, bases);
  }
  std::uint64_t bytes_written() const override { return journal_.bytes_written(); }

 private:
  Journal& journal_;
  mutable std::mutex mutex_;  // guards the rest
  int most_ = 0, under_way_ = 0, overlaps_ = 0;
  std::set<std::uint32_t> busy_;
};

struct Node {
  Node(unsigned regions, unsigned groups, bool clustered = false) : commits(groups) {
    auto opened = RocksJournal::open("/data", environment);
    REQUIRE(opened);
    disk = std::move(*opened);
    journal.emplace(*disk);
    HostOptions options;
    options.clustered = clustered;
    entities.emplace(
        Entities::Parts{system, environment, kinds, *journal, commits, reads, metrics, "node", groups},
        options, true, regions);
    if (clustered)
      entities->set_elsewhere(system.spawn([] {
        return caf::behavior{[](Asked&) {}, [](Request&) { return caf::unit; }};
      }));
    REQUIRE_FALSE(entities->start());
  }
  ~Node() { entities.reset(); }

  std::future<Answer> ask(const std::string& address, const MessagePtr& command) {
    auto answer = std::make_shared<std::promise<Answer>>();
    auto request = entities->request(address, command);
    REQUIRE(request);
    entities->ask(std::move(*request), [answer](Answer a) { answer->set_value(std::move(a)); });
    return answer->get_future();
  }
  std::future<Answer> add(const std::string& address) {
    return ask(address, std::make_shared<Add>(make_add(1)));
  }

  FaultEnvironment environment;
  Metrics metrics{"node"};
  SystemConfig config{VirtualTime::Config::limits()};
  caf::actor_system system{config};
  Kinds kinds = all_kinds();
  std::unique_ptr<Journal> disk;
  std::optional<Watched> journal;
  ThreadPool commits, reads{1};
  std::optional<Entities> entities;
};

std::string counter(int n) {
  return "counter/t/" + std::to_string(n);
}

std::uint32_t shard_of_counter(int n) {
  return shard_of("t", std::to_string(n));
}

/// The first counter whose shard is of region `i` of `regions`.
int counter_of(unsigned i, unsigned regions) {
  for (int n = 0;; ++n)
    if (shard_of_counter(n) % regions == i) return n;
}

std::int64_t total_of(const Answer& answer) {
  return answer ? dynamic_cast<const Total&>(**answer).total() : -1;
}

}  // namespace

TEST_CASE("groups of different regions are under way at once") {
  std::mutex mutex;
  std::condition_variable changed;
  int there = 0;
  Node node(2, 2);
  node.journal->during = [&](auto) {
    std::unique_lock lock(mutex);
    ++there;
    changed.notify_all();
    CHECK(changed.wait_for(lock, kPatience, [&] { return there >= 2; }));
    return std::set<std::uint32_t>();
  };
  auto one = node.add(counter(counter_of(0, 2))), other = node.add(counter(counter_of(1, 2)));
  CHECK(total_of(one.get()) == 1);
  CHECK(total_of(other.get()) == 1);
  CHECK(node.journal->most() == 2);
  CHECK(node.entities->commits() == 2);
  CHECK(node.entities->appends() == 2);
}

TEST_CASE("regions that share a committer have one group under way") {
  std::promise<void> begun, go;
  bool first = true;
  Node node(2, 1);
  const auto one = counter(counter_of(0, 2)), other = counter(counter_of(1, 2));
  node.journal->during = [&](auto) {
    if (std::exchange(first, false)) {
      begun.set_value();
      go.get_future().wait();
    }
    return std::set<std::uint32_t>();
  };
  auto holding = node.add(one);
  begun.get_future().wait();
  auto behind = node.add(one), elsewhere = node.add(other);
  go.set_value();
  CHECK(total_of(holding.get()) == 1);
  CHECK(total_of(behind.get()) == 2);
  CHECK(total_of(elsewhere.get()) == 1);
  CHECK(node.journal->most() == 1);
  CHECK(node.entities->appends() == 3);
}

TEST_CASE(
    "within a shard the order holds, whatever takes how long and whichever group fails, and what fails takes "
    "along what is behind it") {
  constexpr unsigned kRegions = 4;
  constexpr int kCounters = 24, kClients = 3, kEach = 400;
  std::mutex mutex;
  Random random(11);
  int failed = 0;
  Node node(kRegions, kRegions);
  node.journal->during = [&](std::span<const Append> appends) {
    std::chrono::microseconds pause;
    std::set<std::uint32_t> failing;
    {
      const std::lock_guard lock(mutex);
      pause = std::chrono::microseconds(random.below(2'000));
      if (random.below(25) == 0) {
        failing.insert(appends[random.below(static_cast<std::uint32_t>(appends.size()))].shard);
        ++failed;
      }
    }
    std::this_thread::sleep_for(pause);
    return failing;
  };
  const std::jthread time([&](const std::stop_token& stop) {  // what has failed is opened again after a while
    while (!stop.stop_requested()) {
      std::this_thread::sleep_for(1ms);
      node.environment.set_clock().advance(10);
    }
  });
  std::vector<std::multiset<std::int64_t>> totals(kCounters);  // that were acknowledged
  std::vector<std::jthread> clients;
  for (int client = 0; client < kClients; ++client)
    clients.emplace_back([&, client] {
      std::vector<std::pair<int, std::future<Answer>>> asked;
      for (int i = 0; i < kEach; ++i) {
        for (int j = 0; j < 4; ++j) {
          const int n = (7 * i + j + client) % kCounters;
          asked.emplace_back(n, node.add(counter(n)));
        }
        if (asked.size() < 60 && i + 1 < kEach) continue;
        for (auto& [n, answer] : asked)
          if (const auto total = total_of(answer.get()); total > 0) {
            const std::lock_guard lock(mutex);
            totals[static_cast<std::size_t>(n)].insert(total);
          }
        asked.clear();
      }
    });
  clients.clear();
  {
    const std::lock_guard lock(mutex);
    CHECK(failed > 0);
  }
  CHECK(node.journal->overlaps() == 0);
  CHECK(node.journal->most() > 1);
  std::uint64_t acknowledged = 0;
  for (int n = 0; n < kCounters; ++n) {
    // Nothing that failed was written, so each that was acknowledged is the next.
    const auto& all = totals[static_cast<std::size_t>(n)];
    std::int64_t expected = 0;
    bool in_order = true;
    for (const auto total : all) in_order = in_order && total == ++expected;
    CHECK(in_order);
    acknowledged += all.size();
    const auto head = node.disk->head(shard_of_counter(n));
    REQUIRE(head);
    std::uint64_t last = 0;
    CHECK_FALSE(node.disk->read(shard_of_counter(n), 0, [&](std::uint64_t sequence, std::string_view) {
      last = sequence;
      return true;
    }));
    CHECK(last == head->last);
  }
  CHECK(acknowledged > 100);
}

TEST_CASE(
    "a shard is released when what is under way in it is committed, whatever another region waits for") {
  std::promise<void> begun, go;
  bool first = true;
  Node node(2, 2, true);
  const int slow = counter_of(0, 2), quick = counter_of(1, 2);
  const auto slow_shard = shard_of_counter(slow), quick_shard = shard_of_counter(quick);
  node.entities->take({{slow_shard, 1}, {quick_shard, 1}});
  for (int i = 0; i < 30'000 && !(node.entities->here(slow_shard) && node.entities->here(quick_shard)); ++i)
    std::this_thread::sleep_for(1ms);
  CHECK(total_of(node.add(counter(quick)).get()) == 1);

  node.journal->during = [&](std::span<const Append> appends) {
    if (appends.front().shard == slow_shard && std::exchange(first, false)) {
      begun.set_value();
      go.get_future().wait();
    }
    return std::set<std::uint32_t>();
  };
  auto under_way = node.add(counter(slow));
  begun.get_future().wait();
  auto quick_gone = std::make_shared<std::promise<void>>(),
       slow_gone = std::make_shared<std::promise<void>>();
  const std::vector<std::uint32_t> both{slow_shard, quick_shard};
  node.entities->release(
      both, [=](std::uint32_t shard) { (shard == slow_shard ? slow_gone : quick_gone)->set_value(); });
  auto slow_future = slow_gone->get_future();
  CHECK(quick_gone->get_future().wait_for(kPatience) == std::future_status::ready);
  CHECK(slow_future.wait_for(0s) == std::future_status::timeout);
  CHECK(under_way.wait_for(0s) == std::future_status::timeout);
  go.set_value();
  CHECK(slow_future.wait_for(kPatience) == std::future_status::ready);
  CHECK(total_of(under_way.get()) == 1);
  CHECK(node.disk->head(slow_shard)->last == 1);
}

}  // namespace cx::test
