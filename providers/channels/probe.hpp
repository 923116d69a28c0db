#pragma once

#include "providers/pool/work.hpp"
#include "runtime/telemetry/counter.hpp"
#include "runtime/telemetry/histogram.hpp"

namespace cx {
class Metrics;
}

namespace cx::channels {

/// What is counted of the channels.
struct Probe {
  /// From when what led to a message reached us until its letter was with the pool; of messages that
  /// something led to.
  SharedHistogram handover_ns;
  /// Messages by what became of them. Returned: to be dispatched again, as there was no room or its customer
  /// could not be asked.
  Counter sent, failed, unknown, refused, deferred, gone, returned;
  pool::Probe pool;  ///< registered by pool::add_metrics, under the name "channel"
};

/// Registers all of it but `pool`: cx_messages_total by outcome, cx_event_to_channel_seconds. `probe` lives
/// as long as the metrics.
void add_metrics(Metrics& metrics, const Probe& probe);

}  // namespace cx::channels
