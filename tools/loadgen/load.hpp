#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/telemetry/histogram.hpp"
#include "tools/loadgen/schedule.hpp"

namespace cx::loadgen {

enum class Mode {
  open,       ///< requests are due at a rate, whatever the server does: latency
  closed,     ///< every connection sends its next request when it has its answer: throughput
  once_each,  ///< closed, and every user exactly once, in order
};

/// What to do. Ranges are the command line's to check.
struct Plan {
  std::string url;
  std::string key_file;  ///< holds the API key to show; empty for none
  Mode mode = Mode::closed;
  double rate = 0;  ///< requests a second of all threads, mode open
  Arrivals arrivals = Arrivals::poisson;
  std::uint32_t connections = 64;  ///< of all threads
  std::uint32_t threads = 1;
  std::chrono::milliseconds duration{10'000};  ///< measured
  std::chrono::milliseconds warmup{2'000};   ///< before it; only correctness counts. None in mode once_each.
  std::chrono::milliseconds timeout{1'000};  ///< from sending a request to its whole answer
  std::uint32_t users = 1'000'000;
  double zipf = 1.0;
  std::uint32_t bodies = 128;
  std::uint32_t tmax = 100;  ///< milliseconds, written into generated requests
  std::uint64_t seed = 1;
  std::string corpus;                ///< directory of bodies to send instead of generated ones
  std::optional<std::uint32_t> cap;  ///< most bids that one user may be given during a run
  bool check_ids = false;            ///< a 200 must carry the id of its request
  std::vector<std::int32_t> server_pids;
};

/// What happened to the requests that fell into the measured window, by intended time in an open loop and by
/// time of sending otherwise. Every request is counted in `dropped` or `sent`, and every one sent in exactly
/// one of ok, empty, client_error, server_error, timeouts and connection_errors.
struct Tally {
  std::uint64_t sent = 0;
  std::uint64_t ok = 0;     ///< 200 and other 2xx: for a bidder, a bid
  std::uint64_t empty = 0;  ///< 204: for a bidder, no bid
  std::uint64_t client_error = 0;
  std::uint64_t server_error = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t connection_errors = 0;  ///< lost under way, or answered with what is not HTTP
  std::uint64_t dropped = 0;            ///< never sent: the queue was full, or the run was over
  std::uint64_t failed_connects = 0;    ///< attempts to connect
  std::uint64_t mismatched = 0;         ///< answers without the id of their request
  std::uint64_t bids = 0;
  std::uint64_t bytes_out = 0, bytes_in = 0, ok_body_bytes = 0;
  Histogram latency;  ///< nanoseconds; answers, and timeouts as long as they were waited for
  Nanos last_answer = 0;

  std::uint64_t answered() const { return ok + empty + client_error + server_error; }
  void merge(const Tally& other);
};

struct Report {
  Tally tally;
  double seconds = 0;  ///< of the measured window
  double client_cpu_seconds = 0;
  std::uint64_t users_over_cap = 0;
  std::uint64_t most_bids = 0;  ///< that one user was given, warm-up included
  /// Of the servers that were named, in the measured window.
  std::optional<double> server_cpu_seconds;
  std::uint64_t server_peak_bytes = 0;

  double rate() const { return seconds > 0 ? static_cast<double>(tally.answered()) / seconds : 0; }
  /// Something went wrong that a healthy server under a bearable load does not do.
  bool failed() const;
};

/// Loads the server and reports. Ends by itself, at most a timeout and a second after warm-up and duration.
/// Fails when the plan cannot be carried out at all: a bad URL, an unreadable corpus, a server that does not
/// listen.
Result<Report> run(const Plan& plan);

/// For people, with a closing newline.
std::string table(const Plan& plan, const Report& report);
/// For programs: one line, one JSON object, with a closing newline. Latencies in microseconds.
std::string json(const Plan& plan, const Report& report);

}  // namespace cx::loadgen
