#include "providers/channels/probe.hpp"

#include "runtime/telemetry/metrics.hpp"

namespace cx::channels {

void add_metrics(Metrics& metrics, const Probe& probe) {
  const std::pair<const char*, const Counter*> outcomes[] = {
      {"sent", &probe.sent},        {"failed", &probe.failed},     {"unknown", &probe.unknown},
      {"refused", &probe.refused},  {"deferred", &probe.deferred}, {"gone", &probe.gone},
      {"returned", &probe.returned}};
  for (const auto& [outcome, counter] : outcomes)
    metrics.counter("cx_messages_total", "Messages that a channel was done with.",
                    [counter = counter] { return static_cast<double>(counter->value()); },
                    {{"outcome", outcome}});
  for (const auto& [quantile, percent] : {std::pair("0.5", 50.0), std::pair("0.99", 99.0)})
    metrics.gauge("cx_event_to_channel_seconds",
                  "An event's arrival to the hand-over of its message to a channel.",
                  [&probe, percent = percent] {
                    return static_cast<double>(probe.handover_ns.read().percentile(percent)) / 1e9;
                  },
                  {{"quantile", quantile}});
  metrics.counter("cx_messages_handed_over_total", "Messages that were handed over to a channel.",
                  [&probe] { return static_cast<double>(probe.handover_ns.read().count()); });
}

}  // namespace cx::channels
