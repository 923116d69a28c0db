#include "gateways/auth/bucket.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <thread>
#include <vector>

namespace cx::auth {
namespace {
constexpr std::int64_t kSecond = 1'000'000'000;
}

TEST_CASE("a bucket grants what is in it, says what is left, and fills again") {
  Bucket bucket;
  Quota quota;
  const Rate rate{10, 5};
  const std::int64_t now = 1000 * kSecond;
  for (std::uint32_t left = 10; left > 0; --left) {
    CHECK(bucket.take(rate, 1, now, quota));
    CHECK(quota.remaining == left - 1);
    CHECK(quota.limit == 10);
    CHECK(quota.window_seconds == 5);
    CHECK(quota.retry_seconds == 0);
  }
  CHECK(quota.reset_seconds == 5);
  CHECK_FALSE(bucket.take(rate, 1, now, quota));
  CHECK(quota.retry_seconds == 1);
  CHECK_FALSE(bucket.take(rate, 10, now, quota));
  CHECK(quota.retry_seconds == 5);
  CHECK_FALSE(bucket.take(rate, 1, now + kSecond / 2 - 1, quota));
  CHECK(bucket.take(rate, 1, now + kSecond / 2, quota));
  CHECK(bucket.take(rate, 10, now + 100 * kSecond, quota));
  CHECK_FALSE(bucket.take(rate, 1, now + 100 * kSecond, quota));
}

TEST_CASE(
    "a request that costs more than the bucket holds takes all of it; one that costs nothing takes one") {
  Bucket bucket;
  Quota quota;
  CHECK(bucket.take({10, 1}, 1000, kSecond, quota));
  CHECK(quota.remaining == 0);
  CHECK_FALSE(bucket.take({10, 1}, 0, kSecond, quota));
  CHECK(bucket.take({0, 0}, 1, kSecond, quota));  // no limit
}

TEST_CASE("when its limit gets smaller a bucket is at most empty, not in debt") {
  Bucket bucket;
  Quota quota;
  CHECK(bucket.take({100, 3600}, 100, kSecond, quota));
  CHECK_FALSE(bucket.take({10, 1}, 1, kSecond, quota));
  CHECK_FALSE(bucket.take({10, 1}, 6, 3 * kSecond / 2, quota));
  CHECK(bucket.take({10, 1}, 10, 2 * kSecond, quota));
}

TEST_CASE("property: a bucket grants what a counting one would") {
  rc::check([] {
    const auto tokens = *rc::gen::inRange<std::uint32_t>(1, 50);
    const auto window = *rc::gen::inRange<std::uint32_t>(1, 20);
    const Rate rate{tokens, window};
    const std::int64_t token = window * kSecond / tokens;
    Bucket bucket;
    Quota quota;
    std::int64_t level = token * tokens, now = kSecond;  // in nanoseconds' worth of tokens
    for (int i = 0; i < 200; ++i) {
      const auto passed = *rc::gen::inRange<std::int64_t>(0, 3 * token);
      now += passed;
      level = std::min(level + passed, token * tokens);
      const auto cost = *rc::gen::inRange<std::uint32_t>(1, tokens + 1);
      const bool granted = bucket.take(rate, cost, now, quota);
      RC_ASSERT(granted == (level >= token * cost));
      if (granted) level -= token * cost;
      RC_ASSERT(quota.remaining == static_cast<std::uint32_t>(level / token));
      if (!granted) {
        Bucket later;  // what it says to wait is enough
        RC_ASSERT(level + std::int64_t{quota.retry_seconds} * kSecond >= token * cost);
      }
    }
  });
}

TEST_CASE("threads get exactly what is in a bucket, together") {
  for (int round = 0; round < 20; ++round) {
    Bucket bucket;
    std::atomic<int> granted{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        Quota quota;
        for (int i = 0; i < 2000; ++i) granted += bucket.take({5000, 3600}, 1, kSecond, quota) ? 1 : 0;
      });
    for (auto& thread : threads) thread.join();
    CHECK(granted == 5000);
  }
}

TEST_CASE("a bucket goes on for whoever asks by its name, while somebody holds it") {
  Buckets buckets;
  const auto held = buckets.of("a");
  CHECK(buckets.of("a") == held);
  CHECK(buckets.of("b") != held);
  const std::weak_ptr<Bucket> gone = buckets.of("c");
  CHECK(gone.expired());
  for (int i = 0; i < 5000; ++i) buckets.of(std::to_string(i));
  CHECK(buckets.of("a") == held);
}

}  // namespace cx::auth
