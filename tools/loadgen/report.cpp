#include <fmt/format.h>
#include <iterator>

#include "tools/loadgen/load.hpp"

namespace cx::loadgen {
namespace {

constexpr const char* name(Mode mode) {
  switch (mode) {
    case Mode::open:
      return "open";
    case Mode::closed:
      return "closed";
    case Mode::once_each:
      break;
  }
  return "once-each";
}

double micros(const Report& report, double percentile) {
  return static_cast<double>(report.tally.latency.percentile(percentile)) / 1e3;
}

double server_micros(const Report& report) {
  return report.tally.answered() == 0
             ? 0
             : *report.server_cpu_seconds * 1e6 / static_cast<double>(report.tally.answered());
}

std::uint64_t mean_ok_body(const Tally& tally) {
  return tally.ok == 0 ? 0 : tally.ok_body_bytes / tally.ok;
}

}  // namespace

std::string table(const Plan& plan, const Report& report) {
  const Tally& t = report.tally;
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out, "{} loop, {} connections, {:.1f} s measured: {}\n", name(plan.mode), plan.connections,
                 report.seconds, plan.url);
  fmt::format_to(out, "requests  sent {}  answered {} ({:.0f}/s)  200 {}  204 {}  4xx {}  5xx {}\n", t.sent,
                 t.answered(), report.rate(), t.ok, t.empty, t.client_error, t.server_error);
  fmt::format_to(
      out, "failures  timeouts {}  connections lost {}  connects failed {}  dropped unsent {}  wrong id {}\n",
      t.timeouts, t.connection_errors, t.failed_connects, t.dropped, t.mismatched);
  if (plan.corpus.empty()) {
    fmt::format_to(out, "bids      {}  most for one user {}", t.bids, report.most_bids);
    if (plan.cap) fmt::format_to(out, "  cap {}  users over it {}", *plan.cap, report.users_over_cap);
    text += '\n';
  }
  if (plan.mode == Mode::open)
    fmt::format_to(
        out,
        "latency   p50 {:.0f} us  p90 {:.0f}  p99 {:.0f}  p99.9 {:.0f}  max {:.0f}, from the intended time\n",
        micros(report, 50), micros(report, 90), micros(report, 99), micros(report, 99.9),
        micros(report, 100));
  fmt::format_to(out, "bytes     out {}  in {}  mean 200 body {}\n", t.bytes_out, t.bytes_in,
                 mean_ok_body(t));
  fmt::format_to(out, "client    cpu {:.2f} s\n", report.client_cpu_seconds);
  if (report.server_cpu_seconds)
    fmt::format_to(out, "server    cpu {:.2f} s, {:.1f} us a request  peak memory {:.1f} MiB\n",
                   *report.server_cpu_seconds, server_micros(report),
                   static_cast<double>(report.server_peak_bytes) / (1 << 20));
  if (plan.mode == Mode::open && report.client_cpu_seconds > 0.9 * report.seconds * plan.threads)
    text +=
        "warning   this load generator was out of CPU: latencies contain its own delays; lower --rate or "
        "raise --threads\n";
  return text;
}

std::string json(const Plan& plan, const Report& report) {
  const Tally& t = report.tally;
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(
      out,
      R"({{"mode":"{}","connections":{},"threads":{},"users":{},"seconds":{:.3f},"sent":{},"answered":{},)"
      R"("per_second":{:.1f},"ok":{},"empty":{},"client_error":{},"server_error":{},"timeouts":{},)"
      R"("connection_errors":{},"failed_connects":{},"dropped":{},"mismatched":{},"bids":{},"most_bids":{},)"
      R"("users_over_cap":{},"bytes_out":{},"bytes_in":{},"mean_ok_body":{},"client_cpu_seconds":{:.3f})",
      name(plan.mode), plan.connections, plan.threads, plan.users, report.seconds, t.sent, t.answered(),
      report.rate(), t.ok, t.empty, t.client_error, t.server_error, t.timeouts, t.connection_errors,
      t.failed_connects, t.dropped, t.mismatched, t.bids, report.most_bids, report.users_over_cap,
      t.bytes_out, t.bytes_in, mean_ok_body(t), report.client_cpu_seconds);
  if (plan.mode == Mode::open)
    fmt::format_to(
        out,
        R"(,"rate":{},"latency_us":{{"p50":{:.1f},"p90":{:.1f},"p99":{:.1f},"p99.9":{:.1f},"max":{:.1f}}})",
        plan.rate, micros(report, 50), micros(report, 90), micros(report, 99), micros(report, 99.9),
        micros(report, 100));
  if (report.server_cpu_seconds)
    fmt::format_to(out,
                   R"(,"server_cpu_seconds":{:.3f},"server_us_per_request":{:.2f},"server_peak_bytes":{})",
                   *report.server_cpu_seconds, server_micros(report), report.server_peak_bytes);
  text += "}\n";
  return text;
}

}  // namespace cx::loadgen
