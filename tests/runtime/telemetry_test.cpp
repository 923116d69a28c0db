#include <algorithm>
#include <doctest/doctest.h>
#include <thread>
#include <vector>

#include "cx/v1/operations.pb.h"
#include "runtime/random.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx {

TEST_CASE("buckets cover every value without a gap, 1.6 % wide at most") {
  std::size_t last = 0;
  for (std::uint64_t value = 0; value < 5'000'000; value += 1 + value / 1000) {
    const auto bucket = Histogram::bucket(value);
    CHECK(bucket >= last);
    CHECK(Histogram::upper(bucket) >= value);
    CHECK(static_cast<double>(Histogram::upper(bucket) - value) <= static_cast<double>(value) / 64 + 1);
    last = bucket;
  }
  for (std::size_t bucket = 0; bucket + 1 < Histogram::kBuckets; ++bucket) {
    CHECK(Histogram::bucket(Histogram::upper(bucket)) == bucket);
    CHECK(Histogram::bucket(Histogram::upper(bucket) + 1) == bucket + 1);
  }
  CHECK(Histogram::bucket(~0ULL) == Histogram::kBuckets - 1);
}

TEST_CASE("percentiles agree with sorting, to a bucket") {
  Random random(7);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::uint64_t>(std::exp(random.normal() * 2 + 12)));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double p : {0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(p / 100 * 20'000)));
    const auto exact = values[rank - 1];
    CHECK(histogram.percentile(p) >= exact);
    CHECK(static_cast<double>(histogram.percentile(p)) <= static_cast<double>(exact) * 1.017 + 1);
  }
  CHECK(histogram.count() == 20'000);
  CHECK(histogram.count_up_to(values[9'999]) >= 10'000);
  CHECK(Histogram().percentile(99) == 0);
}

TEST_CASE("counters and histograms lose nothing when threads share them") {
  Counter counter;
  SharedHistogram shared;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        counter.add();
        shared.record(static_cast<std::uint64_t>(i));
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(counter.value() == 80'000);
  CHECK(shared.read().count() == 80'000);
}

TEST_CASE("metrics are exposed in the text format, and rates follow totals") {
  Metrics metrics("n1");
  auto& kind = metrics.kind("customer");
  CHECK(&kind == &metrics.kind("customer"));
  kind.live.add(3);
  kind.enqueued.add(12);
  kind.handled.total.add(10);
  auto& endpoint = metrics.endpoint("/v1/bid");
  endpoint.requests.total.add(5);
  endpoint.ok.add(5);
  endpoint.latency.record(2'000'000);
  metrics.gauge("cx_answer", "The answer.", [] { return 42.0; });
  metrics.tick(1);
  kind.handled.total.add(2);
  metrics.tick(2);

  v1::Node node;
  metrics.fill(node);
  CHECK(node.kinds(0).live() == 3);
  CHECK(node.kinds(0).mailbox() == 0);
  CHECK(node.kinds(0).handled_per_second() == doctest::Approx(1.0));
  CHECK(node.endpoints(0).p99_ms() == doctest::Approx(2.0).epsilon(0.02));
  CHECK(node.rss_bytes() > 0);

  const auto text = metrics.prometheus_text();
  for (const char* line :
       {"cx_actors_live{kind=\"customer\"} 3\n", "cx_actor_messages_total{kind=\"customer\"} 12\n",
        "cx_requests_total{route=\"/v1/bid\",outcome=\"ok\"} 5\n", "cx_answer 42\n",
        "cx_request_duration_seconds_bucket{route=\"/v1/bid\",le=\"0.001\"} 0\n",
        "cx_request_duration_seconds_bucket{route=\"/v1/bid\",le=\"+Inf\"} 1\n"}) {
    CAPTURE(text);
    CHECK(text.find(line) != std::string::npos);
  }
}

}  // namespace cx
