#include "runtime/telemetry/metrics.hpp"

#include "providers/pool/work.hpp"

namespace cx::pool {
namespace {

struct Count {
  const char *name, *help;
  Counter Probe::*counter;
};
constexpr Count kCounts[] = {
    {"cx_pool_done_total", "Items of a pool that were done.", &Probe::done},
    {"cx_pool_failed_total", "Items that were not, or nobody knows.", &Probe::failed},
    {"cx_pool_unknown_total", "Items of which nobody knows whether they were done.", &Probe::unknown},
    {"cx_pool_expired_total", "Items whose time came before they could start.", &Probe::expired},
    {"cx_pool_shed_total", "Items refused because the queue was full.", &Probe::shed},
    {"cx_pool_given_back_total", "Items given back because the pool was shutting down.", &Probe::given_back},
    {"cx_pool_joined_total", "Items that were under way when they were offered again.", &Probe::joined},
    {"cx_pool_retries_total", "Attempts after an item's first.", &Probe::retries},
    {"cx_pool_hedges_total", "Batches that a second worker was given, too.", &Probe::hedges},
    {"cx_pool_hedges_won_total", "Those that it answered first.", &Probe::hedges_won},
    {"cx_pool_breaker_opened_total", "Times that a circuit breaker opened.", &Probe::opened},
};

struct Level {
  const char *name, *help;
  std::atomic<std::size_t> Probe::*level;
};
constexpr Level kLevels[] = {
    {"cx_pool_queued", "Items that wait to be started, or started again.", &Probe::queued},
    {"cx_pool_in_flight", "Items with a worker.", &Probe::in_flight},
    {"cx_pool_warm_workers", "Workers that are made and warm.", &Probe::warm},
    {"cx_pool_batch_limit", "Weight of a batch at most, for now.", &Probe::batch_limit},
    {"cx_pool_open_breakers", "Keys whose circuit breaker is not closed.", &Probe::open_breakers},
};

}  // namespace

void add_metrics(Metrics& metrics, const std::vector<NamedProbe>& pools) {
  for (const auto& count : kCounts)
    for (const auto& [name, probe] : pools)
      metrics.counter(count.name, count.help,
                      [&counter = probe->*count.counter] { return static_cast<double>(counter.value()); },
                      {{"pool", name}});
  for (const auto& level : kLevels)
    for (const auto& [name, probe] : pools)
      metrics.gauge(level.name, level.help,
                    [&at = probe->*level.level] { return static_cast<double>(at.load()); }, {{"pool", name}});
  for (const auto& [name, probe] : pools)
    metrics.counter("cx_pool_busy_seconds_total",
                    "What batches took, all together: its rate is the mean number of busy workers.",
                    [&busy = probe->busy_ns] { return static_cast<double>(busy.value()) / 1e9; },
                    {{"pool", name}});
  for (const auto& [name, probe] : pools)
    metrics.gauge("cx_pool_wait_seconds_p99", "99th percentile of the wait for a worker since the start.",
                  [&wait = probe->wait_ns] { return static_cast<double>(wait.read().percentile(99)) / 1e9; },
                  {{"pool", name}});
}

}  // namespace cx::pool
