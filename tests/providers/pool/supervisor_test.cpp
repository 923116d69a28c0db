#include "providers/pool/supervisor.hpp"

#include <caf/event_based_actor.hpp>
#include <doctest/doctest.h>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "runtime/random.hpp"
#include "tests/virtual_time.hpp"

namespace cx::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Work = Worker<std::string, int>;
using End = Outcome<int>;

const Error kWhy{Code::unavailable, "down", "The other side is down.", ""};

/// Keeps what it is given, for the test to finish; does some items at once, by their name.
struct Scripted final : Work {
  struct Started {
    std::string items;
    std::uint32_t attempt;
    Done done;
  };
  struct Script {
    std::vector<Started> started;
    int workers = 0;
  };
  explicit Scripted(Script& s) : script(s) { ++script.workers; }
  void start(Tasks tasks, Done done) override {
    std::string items;
    for (const auto& task : tasks) items += *task.item;
    if (items == "throw") throw std::runtime_error("broken");
    if (items == "die") throw 42;
    if (items == "drop") return;
    if (items == "miscount") return done({});
    if (items == "now") return done({End::done(1)});
    script.started.push_back({items, tasks.front().attempt, std::move(done)});
  }
  Script& script;
};

struct Fixture {
  explicit Fixture(const Policy& policy)
      : pool(spawn<std::string, int>(
            time.system, "test", policy, [this] { return std::make_unique<Scripted>(script); }, time.clock, 1,
            metrics, probe)) {}
  ~Fixture() {
    pool.stop();
    time.run();
  }

  std::size_t submit(const std::string& item, const std::string& id = "", const std::string& key = "k") {
    settled.emplace_back();
    Submission<std::string, int> submission;
    submission.id = id;
    submission.key = key;
    submission.item = std::make_shared<std::string>(item);
    submission.settle = [this, at = settled.size() - 1](Settled<int> s) {
      REQUIRE_FALSE(settled[at].has_value());
      settled[at] = std::move(s);
    };
    pool.submit(std::move(submission));
    return settled.size() - 1;
  }
  Ending ending(std::size_t at) {
    REQUIRE(settled[at].has_value());
    return settled[at]->ending;
  }
  void finish(std::size_t started, End outcome) {
    script.started[started].done({std::move(outcome)});
    time.run();
  }

  Metrics metrics{"test"};
  Probe probe;
  test::VirtualTime time;
  Scripted::Script script;
  std::vector<std::optional<Settled<int>>> settled;
  Pool<std::string, int> pool;
};

}  // namespace

TEST_CASE("work goes to a worker at once, and its outcome to who submitted it") {
  Fixture f({.worker_batches = 2});
  for (const auto* item : {"a", "b", "c"}) f.submit(item);
  f.time.run();
  REQUIRE(f.script.started.size() == 2);
  CHECK(f.probe.queued == 1);
  CHECK(f.probe.in_flight == 2);
  f.finish(1, End::done(7));
  CHECK((f.ending(1) == Ending::done));
  CHECK(f.settled[1]->value == 7);
  CHECK(f.script.started.size() == 3);
  f.finish(0, End::failed(kWhy));
  CHECK((f.ending(0) == Ending::failed));
  CHECK(f.settled[0]->error.type == "down");
  CHECK(f.probe.done.value() == 1);
  CHECK(f.probe.failed.value() == 1);
}

TEST_CASE("retries happen when they are due") {
  Fixture f({.attempts = 3, .backoff = Duration{}});
  f.submit("a");
  f.time.run();
  f.finish(0, End::retry(kWhy, seconds(2)));
  f.time.advance(milliseconds(1'990));
  CHECK(f.script.started.size() == 1);
  f.time.advance(milliseconds(20));
  REQUIRE(f.script.started.size() == 2);
  CHECK(f.script.started[1].attempt == 2);
  f.finish(1, End::done(1));
  CHECK(f.settled[0]->attempts == 2);
  CHECK(f.probe.retries.value() == 1);
}

TEST_CASE("one who submits what is under way gets the same answer") {
  Fixture f({});
  f.submit("a", "id");
  f.submit("a", "id");
  f.time.run();
  f.submit("a", "id");
  f.time.run();
  CHECK(f.script.started.size() == 1);
  f.finish(0, End::done(5));
  for (const auto& settled : f.settled) CHECK(settled->value == 5);
  CHECK(f.probe.joined.value() == 2);
}

TEST_CASE("whatever a worker does, its items are answered and it is replaced") {
  for (const auto* item : {"throw", "die", "drop", "miscount"}) {
    CAPTURE(item);
    Fixture f({.attempts = 3, .backoff = Duration{}, .retry_unknown = true});
    f.submit(item);
    f.time.run();
    f.time.advance(milliseconds(1));
    CHECK((f.ending(0) == Ending::unknown));
    CHECK(f.settled[0]->attempts == 3);
    CHECK_FALSE(f.settled[0]->error.detail.empty());
    CHECK(f.probe.unknown.value() == 1);
    f.submit("now");
    f.time.run();
    CHECK((f.ending(1) == Ending::done));
    CHECK(f.metrics.kind("test-worker").live.value() == 1);
  }
}

TEST_CASE("a worker may finish twice, or after it was given up: the first word counts") {
  Fixture f({.max_attempt = seconds(1)});
  f.submit("a");
  f.submit("b");
  f.time.run();
  f.finish(0, End::done(1));
  f.finish(0, End::failed(kWhy));
  CHECK(f.settled[0]->value == 1);
  f.time.advance(milliseconds(1'010));
  CHECK((f.ending(1) == Ending::unknown));
  f.finish(1, End::done(1));
  CHECK(f.probe.done.value() == 1);
}

TEST_CASE("past the bound the submitter is refused on its own thread, and later admitted") {
  Fixture f({.max_queue = 3});
  for (int i = 0; i < 5; ++i) f.submit("a");
  CHECK((f.ending(3) == Ending::refused));
  CHECK(f.settled[3]->error.type == "pool-full");
  CHECK((f.ending(4) == Ending::refused));
  f.time.run();
  f.finish(0, End::done(1));
  f.submit("b");
  f.time.run();
  CHECK_FALSE(f.settled[5].has_value());
  CHECK(f.probe.shed.value() == 2);
}

TEST_CASE("a drain answers what is in flight as it ends, and says when it has") {
  Fixture f({.attempts = 9});
  f.submit("a");
  f.submit("b");
  f.time.run();
  bool drained = false;
  f.pool.drain([&] { drained = true; });
  f.time.run();
  CHECK((f.ending(1) == Ending::given_back));
  CHECK_FALSE(drained);
  f.submit("c");
  f.time.run();
  CHECK((f.ending(2) == Ending::given_back));
  f.finish(0, End::done(1));
  CHECK((f.ending(0) == Ending::done));
  CHECK(drained);
}

TEST_CASE("when the supervisor ends, nobody is left without an answer") {
  Fixture f({.attempts = 9});
  f.submit("a");
  f.submit("b");
  f.time.run();
  f.submit("c");  // still in the mailbox
  f.pool.stop();
  f.time.run();
  CHECK((f.ending(0) == Ending::unknown));
  CHECK((f.ending(1) == Ending::given_back));
  CHECK((f.ending(2) == Ending::given_back));
  f.submit("d");
  f.time.run();
  CHECK((f.ending(3) == Ending::given_back));
  CHECK(f.settled[3]->error.type == "draining");
  f.finish(0, End::done(1));
  CHECK(f.metrics.kind("test-worker").live.value() == 0);
}

TEST_CASE("an open breaker shows in the metrics, and its key's work waits") {
  Fixture f({.worker_batches = 9, .attempts = 9, .backoff = Duration{}, .breaker_failures = 1});
  f.submit("a");
  f.time.run();
  f.finish(0, End::retry(kWhy));
  CHECK(f.probe.open_breakers == 1);
  CHECK(f.probe.opened.value() == 1);
  f.submit("b", "", "other");
  f.time.run();
  CHECK(f.script.started.back().items == "b");
  f.time.advance(milliseconds(10'001));
  CHECK(f.script.started.back().items == "a");
  f.finish(f.script.started.size() - 1, End::done(1));
  CHECK(f.probe.open_breakers == 0);
  add_metrics(f.metrics, {{"test", &f.probe}});
  const auto text = f.metrics.prometheus_text();
  CHECK(text.find("cx_pool_breaker_opened_total{") != std::string::npos);
  CHECK(text.find("pool=\"test\"") != std::string::npos);
}

TEST_CASE("with threads everywhere, each submission is settled once and done as often as said") {
  // Workers hand their work to two threads, which report in another order; some items fail some attempts.
  struct Shared {
    std::mutex mutex;
    std::vector<std::pair<Work::Tasks, Work::Done>> work;
    bool stop = false;
  };
  struct Foreign final : Work {
    explicit Foreign(Shared& s) : shared(s) {}
    void start(Tasks tasks, Done done) override {
      const std::lock_guard lock(shared.mutex);
      shared.work.emplace_back(std::move(tasks), std::move(done));
    }
    Shared& shared;
  };
  v1::ActorsConfig actors;
  actors.set_threads(2);
  actors.set_throughput(10);
  SystemConfig config(actors);
  SystemClock clock;
  Metrics metrics("test");
  Probe probe;
  Shared shared;
  constexpr int kThreads = 2, kEach = 5'000;
  std::vector<std::atomic<int>> settled(kThreads * kEach);
  std::atomic<int> left = kThreads * kEach, refused = 0, wrong = 0;
  {
    caf::actor_system system(config);
    const auto pool = spawn<std::string, int>(
        system, "test",
        {.workers = 2,
         .worker_batches = 16,
         .max_queue = 2'000,
         .rate = {1e6, 100},
         .attempts = 3,
         .backoff = std::chrono::microseconds(100),
         .retry_unknown = true},
        [&shared] { return std::make_unique<Foreign>(shared); }, clock, 1, metrics, probe);
    const auto serve = [&shared](std::uint64_t seed) {
      Random random(seed);
      for (;;) {
        Work::Tasks tasks;
        Work::Done done;
        {
          const std::lock_guard lock(shared.mutex);
          if (shared.work.empty() && shared.stop) return;
          if (!shared.work.empty()) {
            std::swap(shared.work[random.below(static_cast<std::uint32_t>(shared.work.size()))],
                      shared.work.back());
            std::tie(tasks, done) = std::move(shared.work.back());
            shared.work.pop_back();
          }
        }
        if (!done) {
          std::this_thread::yield();
          continue;
        }
        const auto luck = random.below(10);
        if (luck == 0) continue;  // dropped
        done({luck == 1 && tasks[0].attempt < 3 ? End::retry(kWhy) : End::done(std::stoi(*tasks[0].item))});
      }
    };
    std::thread servers[] = {std::thread(serve, 1), std::thread(serve, 2)};
    const auto submit = [&](int first) {
      for (int i = first; i < first + kEach; ++i) {
        Submission<std::string, int> submission;
        submission.id = std::to_string(i);
        submission.key = std::to_string(i % 7);
        submission.item = std::make_shared<std::string>(submission.id);
        submission.settle = [&, i](const Settled<int>& s) {
          ++settled[static_cast<std::size_t>(i)];
          if (s.ending == Ending::refused) ++refused;
          if (s.ending == Ending::done && s.value != i) ++wrong;
          --left;
        };
        pool.submit(std::move(submission));
        if (probe.queued > 1'500) std::this_thread::yield();
      }
    };
    std::thread clients[] = {std::thread(submit, 0), std::thread(submit, kEach)};
    for (auto& client : clients) client.join();
    while (left > 0) std::this_thread::yield();
    {
      const std::lock_guard lock(shared.mutex);
      shared.stop = true;
    }
    for (auto& server : servers) server.join();
    pool.stop();
  }
  for (const auto& times : settled) CHECK(times == 1);
  CHECK(wrong == 0);
  CHECK(probe.done.value() + probe.failed.value() + refused == kThreads * kEach);
  CHECK(probe.shed.value() == refused);
}

}  // namespace cx::pool
