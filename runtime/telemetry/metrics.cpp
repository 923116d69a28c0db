#include "runtime/telemetry/metrics.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <prometheus/collectable.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cx/v1/operations.pb.h"

namespace cx {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_bytes() {
  long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

std::uint64_t natural(std::int64_t n) {
  return n < 0 ? 0 : static_cast<std::uint64_t>(n);
}

std::int64_t waiting(const KindProbe& kind) {
  const auto handled = kind.handled.total.value();  // read first: never more handled than enqueued
  return std::max<std::int64_t>(0, kind.enqueued.value() - handled);
}

using Labels = Metrics::Labels;

/// Collects families in the order they are first named.
class Families {
 public:
  ClientMetric& add(const char* name, const char* help, MetricType type, const Labels& labels) {
    if (list_.empty() || list_.back().name != name) list_.push_back({name, help, type, {}});
    auto& metric = list_.back().metric.emplace_back();
    for (const auto& [key, value] : labels) metric.label.push_back({key, value});
    return metric;
  }
  void counter(const char* name, const char* help, const Labels& labels, double value) {
    add(name, help, MetricType::Counter, labels).counter.value = value;
  }
  void gauge(const char* name, const char* help, const Labels& labels, double value) {
    add(name, help, MetricType::Gauge, labels).gauge.value = value;
  }
  std::vector<MetricFamily> take() { return std::move(list_); }

 private:
  std::vector<MetricFamily> list_;
};

// Upper bounds of the exported latency buckets, in seconds.
constexpr double kBounds[] = {0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 1};

void export_latency(ClientMetric& metric, const Histogram& histogram) {
  for (const double bound : kBounds)
    metric.histogram.bucket.push_back(
        {histogram.count_up_to(static_cast<std::uint64_t>(bound * 1e9)), bound});
  metric.histogram.sample_count = histogram.count();
  metric.histogram.sample_sum = histogram.mean() * static_cast<double>(histogram.count()) / 1e9;
}

}  // namespace

class Metrics::Collector final : public prometheus::Collectable {
 public:
  explicit Collector(const Metrics& metrics) : metrics_(metrics) {}
  std::vector<MetricFamily> Collect() const override;

 private:
  const Metrics& metrics_;
};

Metrics::Metrics(std::string node)
    : node_(std::move(node)), started_(monotonic_seconds()), collector_(std::make_shared<Collector>(*this)) {}

KindProbe& Metrics::kind(const std::string& name) {
  const std::lock_guard lock(mutex_);
  for (auto& kind : kinds_)
    if (kind.name == name) return kind;
  return kinds_.emplace_back(name);
}

EndpointProbe& Metrics::endpoint(const std::string& route) {
  const std::lock_guard lock(mutex_);
  for (auto& endpoint : endpoints_)
    if (endpoint.route == route) return endpoint;
  return endpoints_.emplace_back(route);
}

void Metrics::gauge(std::string name, std::string help, std::function<double()> read, Labels labels) {
  add({std::move(name), std::move(help), false, std::move(read), std::move(labels)});
}

void Metrics::counter(std::string name, std::string help, std::function<double()> read, Labels labels) {
  add({std::move(name), std::move(help), true, std::move(read), std::move(labels)});
}

// Those of one name stand together, whoever adds them when.
void Metrics::add(Reading reading) {
  const std::lock_guard lock(mutex_);
  const auto last = std::find_if(readings_.rbegin(), readings_.rend(),
                                 [&](const Reading& other) { return other.name == reading.name; });
  readings_.insert(last == readings_.rend() ? readings_.end() : last.base(), std::move(reading));
}

void Metrics::tick(double seconds) {
  const std::lock_guard lock(mutex_);
  std::vector<Meter*> meters;
  for (auto& kind : kinds_) meters.push_back(&kind.handled);
  for (auto& endpoint : endpoints_) meters.push_back(&endpoint.requests);
  const bool comparable = last_.size() == meters.size();
  last_.resize(meters.size());
  for (std::size_t i = 0; i < meters.size(); ++i) {
    const auto total = meters[i]->total.value();
    if (comparable) meters[i]->per_second = static_cast<double>(total - last_[i]) / seconds;
    last_[i] = total;
  }
  const double cpu = cpu_seconds();
  cpu_ = (cpu - last_cpu_) / seconds;
  last_cpu_ = cpu;
}

void Metrics::fill(v1::Node& node) const {
  const std::lock_guard lock(mutex_);
  node.set_name(node_);
  node.set_uptime_seconds(monotonic_seconds() - started_);
  node.set_cpu(cpu_);
  node.set_rss_bytes(static_cast<std::uint64_t>(resident_bytes()));
  for (const auto& kind : kinds_) {
    auto& out = *node.add_kinds();
    out.set_kind(kind.name);
    out.set_live(natural(kind.live.value()));
    out.set_mailbox(natural(waiting(kind)));
    out.set_handled(natural(kind.handled.total.value()));
    out.set_handled_per_second(kind.handled.per_second);
    out.set_failures(natural(kind.failures.value()));
    for (const auto& address : kind.addresses) out.add_addresses(address);
  }
  for (const auto& endpoint : endpoints_) {
    auto& out = *node.add_endpoints();
    const auto latency = endpoint.latency.read();
    out.set_route(endpoint.route);
    out.set_requests(natural(endpoint.requests.total.value()));
    out.set_requests_per_second(endpoint.requests.per_second);
    out.set_p50_ms(static_cast<double>(latency.percentile(50)) / 1e6);
    out.set_p99_ms(static_cast<double>(latency.percentile(99)) / 1e6);
  }
}

std::vector<MetricFamily> Metrics::Collector::Collect() const {
  const Metrics& m = metrics_;
  const std::lock_guard lock(m.mutex_);
  Families f;
  const auto as_double = [](std::int64_t n) { return static_cast<double>(natural(n)); };
  for (const auto& k : m.kinds_)
    f.gauge("cx_actors_live", "Actors awake.", {{"kind", k.name}}, as_double(k.live.value()));
  for (const auto& k : m.kinds_)
    f.gauge("cx_actor_mailbox_messages", "Messages waiting.", {{"kind", k.name}}, as_double(waiting(k)));
  for (const auto& k : m.kinds_)
    f.counter("cx_actor_messages_total", "Messages handled.", {{"kind", k.name}},
              as_double(k.handled.total.value()));
  for (const auto& k : m.kinds_)
    f.counter("cx_actor_failures_total", "Actors ended by an error.", {{"kind", k.name}},
              as_double(k.failures.value()));
  for (const auto& e : m.endpoints_) {
    const std::pair<const char*, const Counter*> outcomes[] = {{"ok", &e.ok},
                                                               {"empty", &e.empty},
                                                               {"client_error", &e.client_error},
                                                               {"refused", &e.refused},
                                                               {"server_error", &e.server_error}};
    for (const auto& [outcome, counter] : outcomes)
      f.counter("cx_requests_total", "Requests answered.", {{"route", e.route}, {"outcome", outcome}},
                as_double(counter->value()));
  }
  for (const auto& e : m.endpoints_)
    export_latency(f.add("cx_request_duration_seconds", "Last byte in to reply handed to the socket.",
                         MetricType::Histogram, {{"route", e.route}}),
                   e.latency.read());
  for (const auto& r : m.readings_)
    (r.is_counter ? f.counter(r.name.c_str(), r.help.c_str(), r.labels, r.read())
                  : f.gauge(r.name.c_str(), r.help.c_str(), r.labels, r.read()));
  f.counter("process_cpu_seconds_total", "CPU time used.", {}, cpu_seconds());
  f.gauge("process_resident_memory_bytes", "Resident memory.", {}, resident_bytes());
  return f.take();
}

std::string Metrics::prometheus_text() {
  return prometheus::TextSerializer().Serialize(collector_->Collect());
}

}  // namespace cx
