// How fast this machine is at what a journal does; by hand: nats -ns -tc="speed*"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <doctest/doctest.h>
#include <mutex>

#include "runtime/nats/jetstream.hpp"
#include "tests/nats/nats_server.hpp"
#include "tests/nats/waiting.hpp"

namespace cx::nats {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Chains of messages, each on the condition of the one before, `chains` of them under way at once.
class Chains {
 public:
  Chains(JetStream& jetstream, bool conditional, int chains, int messages)
      : jetstream_(jetstream), conditional_(conditional), left_(messages), open_(chains) {
    for (int chain = 0; chain < chains; ++chain) go_on(chain, 0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return open_ == 0; });
  }

  int failed() const { return failed_; }

 private:
  void go_on(int chain, std::uint64_t after) {
    if (left_-- <= 0) {
      std::lock_guard lock(mutex_);
      if (--open_ == 0) done_.notify_all();
      return;
    }
    jetstream_.publish("j." + std::to_string(chain), payload_, {},
                       conditional_ ? std::optional(after) : std::nullopt,
                       [this, chain](const Result<std::uint64_t>& stored) {
                         if (!stored) ++failed_;
                         go_on(chain, stored ? *stored : 0);
                       });
  }

  JetStream& jetstream_;
  const std::string payload_ = std::string(200, 'x');
  const bool conditional_;
  std::atomic<int> left_, failed_ = 0;
  std::mutex mutex_;
  std::condition_variable done_;
  int open_;
};

void measure(const v1::NatsConfig& config, std::uint32_t replicas, int messages) {
  const auto connection = Connection::open(config, "speed");
  REQUIRE(connection);
  JetStream jetstream(**connection, 20s);
  for (const int chains : {1, 16, 256, 1024})
    for (const bool conditional : {false, true}) {
      const auto many = std::min(messages, chains * 2'000);
      const StreamConfig stream{.name = "j" + std::to_string(chains) + (conditional ? "c" : "p"),
                                .subjects = {"j.*"},
                                .replicas = replicas};
      REQUIRE(!jetstream.ensure(stream));
      const auto start = Clock::now();
      const Chains run(jetstream, conditional, chains, many);
      const auto took = seconds_since(start);
      CHECK(run.failed() == 0);
      std::printf("replicas %u, %4d under way, %s: %.0f acknowledged/s, %.2f ms each\n", replicas, chains,
                  conditional ? "conditional" : "plain      ", many / took, took / many * chains * 1000);
      if (chains == 1024 && conditional) {
        std::atomic<int> seen = 0;
        const auto reading = Clock::now();
        const auto follower = jetstream.follow(stream.name, "", 0, [&](Stored&&) { ++seen; });
        CHECK(test::eventually([&] { return seen == many; }));
        std::printf("replicas %u: followed %.0f/s\n", replicas, many / seconds_since(reading));
        // Keeps each subject's last message: what truncation does, shard by shard.
        const auto purging = Clock::now();
        for (int chain = 0; chain < 10; ++chain) {
          const auto subject = "j." + std::to_string(chain);
          const auto last = jetstream.last(stream.name, subject);
          REQUIRE(last);
          CHECK(!jetstream.purge(stream.name, subject, last->sequence));
        }
        std::printf("replicas %u: purged a subject in %.1f ms\n", replicas, seconds_since(purging) * 100);
      }
      REQUIRE((*connection)->request("$JS.API.STREAM.DELETE." + stream.name, "", {}, 20s));
    }
}

TEST_CASE("speed: one server" * doctest::skip()) {
  test::NatsServer server;
  measure(server.config(), 1, 300'000);
}

TEST_CASE("speed: three servers" * doctest::skip()) {
  test::NatsCluster cluster;
  measure(cluster.config(), 3, 60'000);
}

TEST_CASE("speed: one server that syncs" * doctest::skip()) {
  test::NatsServer server({.sync_always = true});
  measure(server.config(), 1, 20'000);
}

TEST_CASE("speed: three servers that sync" * doctest::skip()) {
  test::NatsCluster cluster(3, {.sync_always = true});
  measure(cluster.config(), 3, 20'000);
}

TEST_CASE("speed: publish and hear" * doctest::skip()) {
  test::NatsServer server;
  const auto connection = Connection::open(server.config(), "speed");
  REQUIRE(connection);
  constexpr int kMany = 500'000;
  std::atomic<int> heard = 0;
  const auto subscription = (*connection)
                                ->subscribe(
                                    "a", "", [&](const Incoming&) { ++heard; }, kMany);
  REQUIRE(subscription);
  const std::string payload(200, 'x');
  const auto start = Clock::now();
  for (int i = 0; i < kMany; ++i)  // a server drops who lets 64 MB wait
    while (i - heard > 50'000 || (*connection)->publish("a", payload)) std::this_thread::yield();
  CHECK(test::eventually([&] { return heard == kMany; }));
  std::printf("publish and hear: %.0f/s\n", kMany / seconds_since(start));
}

}  // namespace
}  // namespace cx::nats
