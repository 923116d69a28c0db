#include "providers/pool/times.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <vector>

#include "runtime/random.hpp"

namespace cx::pool {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST_CASE("a pool is as large as Little's law says, with room for bursts") {
  struct Row {
    double batches_per_second;
    Duration each;
    double busy;
    std::size_t workers;
  };
  const Row rows[] = {
      {0, milliseconds(5), 0.7, 1},
      {100, milliseconds(10), 1, 1},
      {1'000, milliseconds(7), 0.7, 10},
      {1'000, milliseconds(7), 0.5, 14},
      {1'000, milliseconds(7), 2, 7},
      {30'000.0 / 16, microseconds(500), 0.7, 2},
      {10'000, microseconds(40), 0.7, 1},
      {-5, milliseconds(1), 0.7, 1},
      {1e12, std::chrono::hours(1), 1, 1'000'000},
  };
  for (const auto& row : rows) {
    CAPTURE(row.batches_per_second);
    CHECK(workers_for(row.batches_per_second, row.each, row.busy) == row.workers);
  }
}

TEST_CASE("the 95th percentile is at most an eighth above the truth, and follows the load") {
  Random random(7);
  Times times;
  for (std::uint32_t i = 1; i < Times::kEnough; ++i) times.record(milliseconds(3));
  CHECK(times.p95() == Duration{});
  for (const double scale : {1e3, 1e6, 50.0, 1e10}) {
    std::vector<Duration> last;
    for (int i = 0; i < 20'000; ++i) {
      last.push_back(Duration(static_cast<std::int64_t>(scale * (1 + 9 * random.uniform()))));
      times.record(last.back());
    }
    std::sort(last.begin(), last.end());
    const auto truth = static_cast<double>(last[last.size() * 95 / 100].count());
    CHECK(static_cast<double>(times.p95().count()) > truth * 0.97);
    CHECK(static_cast<double>(times.p95().count()) < truth * 1.15);
  }
  times.record(Duration(-1));
  times.record(Duration::max());
}

}  // namespace cx::pool
