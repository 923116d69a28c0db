// Figures, not facts: run with --no-skip -tc="*figures*".

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <doctest/doctest.h>
#include <iostream>
#include <thread>

#include "runtime/journal/committer.hpp"
#include "tests/runtime/journal/homes.hpp"

namespace cx::test {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr std::size_t kBytes = 200;
constexpr std::uint32_t kShardsUsed = 64;
constexpr int kEach = 3'000;

/// `most`: that are under way at once for each shard.
double plain(nats::JetStream& jetstream, const std::string& stream, int most) {
  nats::StreamConfig config;
  config.name = stream;
  config.subjects = {stream + ".*"};
  REQUIRE_FALSE(jetstream.ensure(config));
  const std::string payload(kBytes, 'x');
  std::mutex mutex;
  std::condition_variable wake;
  int left = kEach * static_cast<int>(kShardsUsed), under_way = 0;
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex);
  for (int i = 0; i < kEach * static_cast<int>(kShardsUsed); ++i) {
    wake.wait(lock, [&] { return under_way < static_cast<int>(kShardsUsed) * most; });
    ++under_way;
    lock.unlock();
    jetstream.publish(stream + "." + std::to_string(i % static_cast<int>(kShardsUsed)), payload, {},
                      std::nullopt, [&](const Result<std::uint64_t>& answer) {
                        const std::lock_guard done(mutex);
                        if (!answer) FAIL_CHECK("a publish failed");
                        --left, --under_way;
                        wake.notify_one();
                      });
    lock.lock();
  }
  wake.wait(lock, [&] { return left == 0; });
  return kEach * kShardsUsed / Seconds(std::chrono::steady_clock::now() - start).count();
}

double durable(Journal& journal, int most) {
  ThreadPool executor(1);
  Committer committer(journal, executor, true);
  struct Shard {
    std::atomic<int> sent = 0, left = kEach;
    Head head;
  };
  std::vector<Shard> shards(kShardsUsed);
  std::atomic<int> open = kShardsUsed;
  std::function<void(std::uint32_t, int)> submit = [&](std::uint32_t shard, int n) {
    auto& s = shards[shard];
    for (; n > 0 && s.sent < kEach; --n, ++s.sent) {
      std::vector<Append> appends;
      appends.push_back(append_of(shard, s.head, {std::string(kBytes, 'x')}));
      ++s.head.last;
      committer.submit(std::move(appends), [&, shard](const std::vector<std::optional<Error>>& results) {
        if (results[0]) FAIL_CHECK(results[0]->detail);
        submit(shard, 1);
        if (--shards[shard].left == 0) --open;
      });
    }
  };
  for (std::uint32_t i = 0; i < kShardsUsed; ++i) shards[i].head = open_one(journal, i);
  const auto start = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < kShardsUsed; ++i) executor.post([&, i, most] { submit(i, most); });
  while (open > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double rate = kEach * kShardsUsed / Seconds(std::chrono::steady_clock::now() - start).count();
  std::cout << "  " << rate << " appends/s, "
            << static_cast<double>(committer.appends()) / static_cast<double>(committer.commits())
            << " appends in a group\n";
  return rate;
}

}  // namespace

TEST_CASE("figures: durable appends against plain publishes of as many bytes" * doctest::skip()) {
  for (const int most : {1, 4, 32, 1, 4, 32}) {
    const auto cluster = new_cluster();
    JetStreamNode node(shared_server().config(), cluster);
    const double publishes = plain(node.jetstream(), cluster + "plain", most);
    std::cout << most << " under way for each shard: " << publishes << " plain publishes/s\n";
    const double rate = durable(node.open(), most);
    std::cout << "  " << 100 * rate / publishes << " %\n";
  }
}

}  // namespace cx::test
