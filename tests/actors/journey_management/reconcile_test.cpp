#include "actors/journey/reconcile.hpp"

#include <doctest/doctest.h>

#include "tests/actors/journey_management/runs.hpp"

namespace cx::test {
namespace {

/// Instances and who has them follow their journeys. What is sent to them arrives when deliver() says so.
struct Followed : Runs {
  Followed() {
    for (const std::string id : {"one", "two"}) {
      world.put(journey::kJourneyKind, "acme", id, long_journey("a"));
      REQUIRE(world.lifecycle->activate("acme", id, 0, "user/ana"));
    }
    restart_reconciler();
  }
  void restart_reconciler() {
    reconciler.reset();
    under_way.clear();
    reconciler = std::make_unique<journey::Reconciler>(
        *world.book, lists, log.executor, [this](const std::string& to, std::function<void()> done) {
          under_way.emplace_back(to, std::move(done));
          most = std::max(most, under_way.size());
          ++asked[to];
        });
  }
  static std::string address(const std::string& id, int n) {
    return "journey/acme/" + id + ":c-" + std::to_string(n);
  }
  /// Has a run wait, and its time come.
  void wake(const std::string& address) {
    v1::WakeRun wake;
    wake.set_visit(state(address).visit());
    REQUIRE(send(address, wake));
  }
  /// Hands over what is under way and what follows, until nothing does.
  void deliver() {
    for (log.executor.run(); !under_way.empty(); log.executor.run()) {
      auto batch = std::move(under_way);
      under_way.clear();
      for (auto& [to, done] : batch) {
        REQUIRE(send(to, v1::ReconsiderRun()));
        done();
      }
    }
  }
  void poll() {
    project();
    reconciler->poll();
    deliver();
    project();
  }
  void change(journey::Verb verb, const std::string& id) {
    REQUIRE(world.lifecycle->change(verb, "acme", id, "user/ana"));
  }

  std::unique_ptr<journey::Reconciler> reconciler;
  std::vector<std::pair<std::string, std::function<void()>>> under_way;
  std::map<std::string, int> asked;
  std::size_t most = 0;
};

}  // namespace

TEST_CASE("whoever is paused goes on once the journey does, each once, and nobody else is asked") {
  Followed world;
  constexpr int kAll = 2'500;
  for (const std::string id : {"one", "two"})
    for (int i = 0; i < (id == "one" ? kAll : 20); ++i) REQUIRE(world.start(Followed::address(id, i)));
  world.change(journey::Verb::pause, "one");
  world.change(journey::Verb::pause, "two");
  for (int i = 0; i < kAll; i += 2) world.wake(Followed::address("one", i));
  for (int i = 0; i < 20; ++i) world.wake(Followed::address("two", i));
  world.poll();
  CHECK(world.asked.empty());  // all is as it should be

  world.change(journey::Verb::resume, "one");
  world.poll();
  CHECK(world.asked.size() == kAll / 2);
  CHECK(world.most <= journey::Reconciler::kUnderWay);
  for (int i = 0; i < kAll; ++i) {
    const auto& state = world.state(Followed::address("one", i));
    CHECK(state.status() == (i % 2 == 0 ? v1::RUN_STATUS_ACTIVE : v1::RUN_STATUS_WAITING));
    CHECK(state.step() == (i % 2 == 0 ? "ask-a" : "look"));
  }
  for (const auto& [to, times] : world.asked) CHECK(times == 1);
  world.poll();
  CHECK(world.asked.size() == kAll / 2);

  // One that is parked a moment later is found a moment later.
  world.change(journey::Verb::pause, "one");
  world.wake(Followed::address("one", 1));
  world.change(journey::Verb::resume, "one");
  world.poll();
  CHECK(world.state(Followed::address("one", 1)).step() == "ask-a");

  // A journey that nobody may start any more still goes on for those who are in it.
  world.change(journey::Verb::complete, "two");
  world.poll();
  for (int i = 0; i < 20; ++i)
    CHECK(world.state(Followed::address("two", i)).status() == v1::RUN_STATUS_ACTIVE);
}

TEST_CASE("whoever is in a journey that is archived exits, also after a restart in the middle of it") {
  Followed world;
  constexpr int kAll = 600;
  for (int i = 0; i < kAll; ++i) REQUIRE(world.start(Followed::address("one", i)));
  for (int i = 0; i < 50; ++i) REQUIRE(world.start(Followed::address("two", i)));
  for (int i = 0; i < kAll; i += 3) world.wake(Followed::address("one", i));
  world.change(journey::Verb::pause, "one");
  for (int i = 1; i < kAll; i += 3) world.wake(Followed::address("one", i));
  world.change(journey::Verb::archive, "one");
  world.project();
  world.reconciler->poll();
  world.log.executor.run();
  REQUIRE(world.under_way.size() == journey::Reconciler::kUnderWay);
  for (int i = 0; i < 30; ++i) {  // of some the answer comes, others are lost
    REQUIRE(world.send(world.under_way[static_cast<std::size_t>(i)].first, v1::ReconsiderRun()));
    world.under_way[static_cast<std::size_t>(i)].second();
  }
  auto late = world.under_way.back().second;
  world.restart_reconciler();
  late();  // nobody is there to hear it
  world.poll();
  for (int i = 0; i < kAll; ++i)
    CHECK(world.state(Followed::address("one", i)).status() == v1::RUN_STATUS_EXITED);
  for (int i = 0; i < 50; ++i)
    CHECK(world.state(Followed::address("two", i)).status() == v1::RUN_STATUS_WAITING);
  const auto before = world.asked;
  world.poll();
  CHECK(world.asked == before);
}

TEST_CASE("it puts up with a board that is not there yet, and with answers that come at once") {
  World world;
  QueuedExecutor executor;
  TemporaryDirectory directory;
  journey::RunLists lists{directory.file("journeys.db"), world.environment.clock()};
  int sent = 0;
  journey::Reconciler reconciler(*world.book, lists, executor, [&](const auto&, auto done) {
    ++sent;
    done();
  });
  reconciler.poll();
  executor.run();
  CHECK(sent == 0);
}

}  // namespace cx::test
