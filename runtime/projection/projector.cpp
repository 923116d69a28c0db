#include "runtime/projection/projector.hpp"

#include <algorithm>

#include "runtime/projection/runner.hpp"
#include "runtime/telemetry/metrics.hpp"

namespace cx {

Projector::Projector(Journal& journal, Executor& executor, const Clock& clock, ProjectorOptions options)
    : journal_(journal), executor_(executor), clock_(clock), options_(options) {}

Projector::~Projector() = default;

void Projector::add(Projection& projection, std::optional<std::chrono::milliseconds> gather) {
  auto options = options_;
  options.gather = gather.value_or(options.gather);
  runners_.push_back(std::make_unique<Runner>(projection, journal_, executor_, clock_, options));
}

void Projector::notify(std::uint32_t shard) {
  for (const auto& runner : runners_) runner->notify(shard);
}

void Projector::poll() {
  for (const auto& runner : runners_) runner->poll();
}

std::uint64_t Projector::retain_after(std::uint32_t shard) const {
  auto lowest = ~std::uint64_t{0};
  for (const auto& runner : runners_) lowest = std::min(lowest, runner->durable(shard));
  return lowest;
}

Result<Runner*> Projector::find(std::string_view name) const {
  std::string known;
  for (const auto& runner : runners_) {
    const auto status = runner->status();
    if (status.name == name) return runner.get();
    known += (known.empty() ? "" : ", ") + status.name;
  }
  return Error{Code::not_found, "no-such-projection",
               "There is no projection '" + std::string(name) + "'; there are: " + known + ".", ""};
}

std::optional<Error> Projector::pause(std::string_view name) {
  const auto runner = find(name);
  if (!runner) return runner.error();
  (*runner)->pause(true);
  return std::nullopt;
}

std::optional<Error> Projector::resume(std::string_view name) {
  const auto runner = find(name);
  if (!runner) return runner.error();
  (*runner)->pause(false);
  return std::nullopt;
}

std::optional<Error> Projector::rebuild(std::string_view name) {
  const auto runner = find(name);
  if (!runner) return runner.error();
  (*runner)->rebuild();
  return std::nullopt;
}

std::optional<Error> Projector::skip(std::string_view name, std::uint32_t shard, std::uint64_t sequence) {
  const auto runner = find(name);
  if (!runner) return runner.error();
  return (*runner)->skip(shard, sequence);
}

std::vector<ProjectionStatus> Projector::status() const {
  std::vector<ProjectionStatus> out;
  for (const auto& runner : runners_) out.push_back(runner->status());
  return out;
}

void Projector::measure(Metrics& metrics) const {
  struct Reading {
    const char* name;
    const char* help;
    bool is_counter;
    double (*read)(const ProjectionStatus&);
  };
  static constexpr Reading kReadings[] = {
      {"cx_projection_lag_records", "Records in the log that are not projected.", false,
       [](const ProjectionStatus& s) { return static_cast<double>(s.lag_records); }},
      {"cx_projection_lag_seconds", "Age of the oldest record that is not projected.", false,
       [](const ProjectionStatus& s) { return static_cast<double>(s.lag_ms) / 1e3; }},
      {"cx_projection_stuck_shards", "Shards that wait for a record that cannot be projected.", false,
       [](const ProjectionStatus& s) { return static_cast<double>(s.stuck.size()); }},
      {"cx_projection_records_total", "Records projected.", true,
       [](const ProjectionStatus& s) { return static_cast<double>(s.projected); }},
      {"cx_projection_failures_total", "Batches, commits and syncs that failed.", true,
       [](const ProjectionStatus& s) { return static_cast<double>(s.failures); }},
  };
  for (const auto& reading : kReadings)
    for (const auto& runner : runners_) {
      const auto read = [&reading, runner = runner.get()] { return reading.read(runner->status()); };
      const Metrics::Labels labels = {{"projection", runner->status().name}};
      if (reading.is_counter)
        metrics.counter(reading.name, reading.help, read, labels);
      else
        metrics.gauge(reading.name, reading.help, read, labels);
    }
}

}  // namespace cx
