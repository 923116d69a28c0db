#include "runtime/environment/environment.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <rocksdb/env.h>
#include <set>
#include <thread>

#include "runtime/environment/executor.hpp"

namespace cx {

TEST_CASE("chance repeats itself on no thread and between none") {
  std::set<std::uint64_t> numbers[4];
  {
    std::vector<std::jthread> threads;
    for (auto& mine : numbers)
      threads.emplace_back([&mine] {
        for (int i = 0; i < 1'000; ++i) mine.insert(system_environment().random());
      });
  }
  std::set<std::uint64_t> all;
  for (const auto& mine : numbers) all.insert(mine.begin(), mine.end());
  CHECK(all.size() == 4'000);
}

TEST_CASE("the machine delivers at once, and its files are those of the disk") {
  bool delivered = false;
  system_environment().carry(1, 2, [&] { delivered = true; });
  CHECK(delivered);
  CHECK(&system_environment().files() == rocksdb::Env::Default());
  CHECK(system_environment().clock().unix_ms() > 1'700'000'000'000);
}

TEST_CASE("one thread runs tasks in the order in which they were posted, the last ones before it ends") {
  std::vector<int> order;
  {
    ThreadPool pool(1);
    for (int i = 0; i < 1'000; ++i) pool.post([&order, i] { order.push_back(i); });
    pool.post([&] { pool.post([&order] { order.push_back(1'000); }); });
  }
  REQUIRE(order.size() == 1'001);
  for (int i = 0; i <= 1'000; ++i) CHECK(order[i] == i);
}

TEST_CASE("tasks of several threads all run, side by side") {
  std::atomic<int> inside = 0, ran = 0;
  {
    ThreadPool pool(3);
    for (int i = 0; i < 3; ++i)
      pool.post([&] {
        ++inside;
        while (inside < 3) std::this_thread::yield();  // ends only when all three run at once
        ++ran;
      });
  }
  CHECK(ran == 3);
}

}  // namespace cx
