#include "runtime/journal/committer.hpp"

#include <atomic>
#include <deque>
#include <doctest/doctest.h>
#include <thread>

#include "tests/runtime/journal/homes.hpp"

namespace cx::test {
namespace {

/// Runs a task when told.
struct ManualExecutor final : Executor {
  std::deque<Task> tasks;
  void post(Task task) override { tasks.push_back(std::move(task)); }
  bool run_one() {
    if (tasks.empty()) return false;
    const Task task = std::move(tasks.front());
    tasks.pop_front();
    task();
    return true;
  }
};

std::vector<Append> one(std::uint32_t shard, const Head& head, const std::string& record) {
  std::vector<Append> appends;
  appends.push_back(append_of(shard, head, {record}));
  return appends;
}

}  // namespace

TEST_CASE("what waits while a commit is under way goes into the next one together") {
  MemoryHome home;
  Head head = open_one(home.journal(), 1);
  open_one(home.journal(), 2);
  ManualExecutor executor;
  Committer committer(home.journal(), executor, true);
  std::vector<std::string> answers;
  const auto note = [&](std::string name) {
    return [&answers, name = std::move(name)](const std::vector<std::optional<Error>>& results) {
      for (const auto& result : results) answers.push_back(name + ":" + type_of(result));
    };
  };
  committer.submit(one(1, head, "a"), note("a"));
  CHECK(executor.tasks.size() == 1);
  CHECK(answers.empty());
  CHECK(executor.run_one());
  CHECK(answers == std::vector<std::string>{"a:"});
  CHECK(executor.tasks.empty());

  answers.clear();
  head.last = 1;
  std::vector<Append> mixed = one(2, {1, 1, 0}, "2");
  mixed.push_back(append_of(2, {1, 1, 5}, {"fenced"}));
  // The second is submitted while the first commits: by the journal's sync.
  bool during = false;
  home.disk().on_sync([&](const std::string&) {
    if (std::exchange(during, true)) return;
    head.last = 2;
    committer.submit(one(1, head, "c"), note("c"));
    committer.submit({}, note("nothing"));
    committer.submit(std::move(mixed), note("mixed"));
    head.last = 3;
    committer.submit(one(1, head, "d"), note("d"));
  });
  committer.submit(one(1, head, "b"), note("b"));
  CHECK(executor.run_one());
  CHECK(answers == std::vector<std::string>{"b:"});
  CHECK(executor.tasks.size() == 1);
  const auto syncs = home.disk().count(FaultFiles::Operation::sync, ".log");
  CHECK(executor.run_one());
  CHECK(answers == std::vector<std::string>{"b:", "c:", "mixed:", "mixed:fenced", "d:"});
  CHECK(home.disk().count(FaultFiles::Operation::sync, ".log") == syncs + 1);
  CHECK_FALSE(executor.run_one());
  CHECK(committer.commits() == 3);
  CHECK(committer.appends() == 6);
  CHECK(records_of(home.journal(), 1) == Records{{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}});
}

TEST_CASE("without sync_always nothing waits for the disk") {
  MemoryHome home;
  const Head head = open_one(home.journal(), 1);
  ManualExecutor executor;
  Committer committer(home.journal(), executor, false);
  const auto syncs = home.disk().count(FaultFiles::Operation::sync);
  committer.submit(one(1, head, "a"), [](const auto&) {});
  CHECK(executor.run_one());
  CHECK(home.disk().count(FaultFiles::Operation::sync) == syncs);
  CHECK_FALSE(home.journal().sync());
  CHECK(home.disk().count(FaultFiles::Operation::sync) > syncs);
}

TEST_CASE("writers on many threads each get the results of their own appends, in order") {
  MemoryHome home;
  constexpr int kWriters = 4, kEach = 2'000;
  for (std::uint32_t shard = 0; shard < kWriters; ++shard) open_one(home.journal(), shard);
  std::atomic<int> wrong = 0, answered = 0;
  {
    ThreadPool executor(1);
    Committer committer(home.journal(), executor, true);
    std::vector<std::jthread> writers;
    for (std::uint32_t shard = 0; shard < kWriters; ++shard) {
      writers.emplace_back([&, shard] {
        auto next = std::make_shared<int>(0);
        for (int i = 0; i < kEach; ++i) {
          Head head{1, 1, static_cast<std::uint64_t>(i)};
          const bool fence = i % 100 == 99;  // an append too many now and then
          std::vector<Append> appends = one(shard, head, std::to_string(i));
          if (fence) appends.push_back(append_of(shard, head, {"x"}));
          committer.submit(std::move(appends), [&, next, i, fence](const auto& results) {
            if ((*next)++ != i || results.size() != (fence ? 2 : 1)) ++wrong;
            if (type_of(results[0]) != "" || (fence && type_of(results[1]) != "fenced")) ++wrong;
            ++answered;
          });
        }
      });
    }
    writers.clear();
    while (answered < kWriters * kEach) std::this_thread::yield();
    CHECK(committer.commits() <= committer.appends());
  }
  CHECK(wrong == 0);
  for (std::uint32_t shard = 0; shard < kWriters; ++shard) {
    const auto records = records_of(home.journal(), shard);
    REQUIRE(records.size() == kEach);
    for (int i = 0; i < kEach; ++i) CHECK(records[i].second == std::to_string(i));
  }
}

}  // namespace cx::test
