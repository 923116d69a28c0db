#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/telemetry/counter.hpp"
#include "runtime/telemetry/histogram.hpp"

namespace cx {

namespace v1 {
class Node;
}

/// A count and its rate over the last second (see Metrics::tick).
struct Meter {
  Counter total;
  std::atomic<double> per_second{0};
};

/// What is counted for one actor kind. `mailbox` is enqueued minus handled.
struct KindProbe {
  explicit KindProbe(std::string n) : name(std::move(n)) {}
  std::string name;
  Counter live, enqueued, failures;
  Meter handled;
  std::vector<std::string> addresses;  ///< set before the node serves
};

/// What is counted for one endpoint of a gateway.
struct EndpointProbe {
  explicit EndpointProbe(std::string r) : route(std::move(r)) {}
  std::string route;
  Meter requests;
  SharedHistogram latency;  ///< nanoseconds, last byte in to reply handed to the socket
  /// Replies by class: 200, 204, 4xx, 503, other 5xx.
  Counter ok, empty, client_error, refused, server_error;

  /// The class of an HTTP status.
  Counter& outcome(int status) {
    if (status == 200) return ok;
    if (status == 204) return empty;
    if (status == 503) return refused;
    return status < 500 ? client_error : server_error;
  }
};

/// Every metric of a node. Probes are created at start-up, live as long as this object and are updated
/// without a lock.
class Metrics {
 public:
  explicit Metrics(std::string node);
  KindProbe& kind(const std::string& name);
  EndpointProbe& endpoint(const std::string& route);
  /// A number read when scraped. `name` is a Prometheus name with unit and, for a counter, "_total".
  /// Readings of one name differ by label.
  using Labels = std::vector<std::pair<const char*, std::string>>;
  void gauge(std::string name, std::string help, std::function<double()> read, Labels labels = {});
  void counter(std::string name, std::string help, std::function<double()> read, Labels labels = {});

  /// Recomputes rates; called once a second by the node's housekeeping thread.
  void tick(double seconds);
  /// Fills kinds, endpoints, cpu, memory and uptime.
  void fill(v1::Node& node) const;
  /// The text exposition format.
  std::string prometheus_text();

 private:
  struct Reading {
    std::string name, help;
    bool is_counter;
    std::function<double()> read;
    Labels labels;
  };
  class Collector;
  void add(Reading reading);

  const std::string node_;
  const double started_;
  mutable std::mutex mutex_;  // guards the lists, not the probes
  std::deque<KindProbe> kinds_;
  std::deque<EndpointProbe> endpoints_;
  std::vector<Reading> readings_;
  std::vector<std::int64_t> last_;  // totals at the last tick: kinds, then endpoints
  std::atomic<double> cpu_{0};
  double last_cpu_ = 0;
  std::shared_ptr<Collector> collector_;
};

}  // namespace cx
