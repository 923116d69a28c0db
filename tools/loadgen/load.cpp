#include "tools/loadgen/load.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fmt/format.h>
#include <fstream>
#include <sys/resource.h>
#include <sys/time.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "tools/loadgen/process.hpp"
#include "tools/loadgen/worker.hpp"

namespace cx::loadgen {
namespace {

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Result<ProcessUsage> usage_of(const std::vector<std::int32_t>& pids) {
  ProcessUsage all;
  for (const std::int32_t pid : pids) {
    const auto one = process_usage(pid);
    if (!one) return one.error();
    all.cpu_seconds += one->cpu_seconds;
    all.peak_bytes += one->peak_bytes;
  }
  return all;
}

std::optional<Error> check_listening(const Plan& plan, const Target& target) {
  const auto* address = reinterpret_cast<const sockaddr*>(&target.address);
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{plan.timeout.count() / 1000, plan.timeout.count() % 1000 * 1000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // bounds connect(2) as well
  const bool connected = connect(fd, address, target.address_size) == 0;
  const int why = errno;
  close(fd);
  if (connected) return std::nullopt;
  return Error{Code::unavailable, "unreachable",
               fmt::format("--url {}: cannot connect: {}; start the server, or name its port.", plan.url,
                           std::generic_category().message(why)),
               ""};
}

std::optional<Error> check_files(const Plan& plan) {
  constexpr rlim_t others = 32;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min(limit.rlim_max, std::max<rlim_t>(limit.rlim_cur, plan.connections + others));
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= plan.connections + others)
    return std::nullopt;
  return Error{
      Code::invalid_argument, "too-many-connections",
      fmt::format("--connections {}: this process may open {} files; ask for fewer, or raise `ulimit -n`.",
                  plan.connections, limit.rlim_cur),
      ""};
}

}  // namespace

void Tally::merge(const Tally& other) {
  for (const auto count :
       {&Tally::sent, &Tally::ok, &Tally::empty, &Tally::client_error, &Tally::server_error, &Tally::timeouts,
        &Tally::connection_errors, &Tally::dropped, &Tally::failed_connects, &Tally::mismatched, &Tally::bids,
        &Tally::bytes_out, &Tally::bytes_in, &Tally::ok_body_bytes})
    this->*count += other.*count;
  latency.merge(other.latency);
  last_answer = std::max(last_answer, other.last_answer);
}

bool Report::failed() const {
  return tally.client_error + tally.server_error + tally.timeouts + tally.connection_errors + tally.dropped +
                 tally.failed_connects + tally.mismatched + users_over_cap >
             0 ||
         tally.answered() == 0;
}

Result<Report> run(const Plan& plan) {
  auto target = parse_target(plan.url);
  if (!target) return target.error();
  if (!plan.key_file.empty()) {
    std::ifstream in(plan.key_file);
    if (!(in >> target->key))
      return Error{
          Code::invalid_argument, "bad-key-file",
          fmt::format("--key-file: cannot read a key from {}; name a file that holds one.", plan.key_file),
          ""};
  }
  const auto requests = plan.corpus.empty()
                            ? generate_bid_requests(*target, plan.bodies, plan.tmax, plan.seed)
                            : read_corpus(*target, plan.corpus);
  if (!requests) return requests.error();
  if (const auto usage = usage_of(plan.server_pids); !usage) return usage.error();
  if (auto error = check_files(plan)) return *error;
  if (auto error = check_listening(plan, *target)) return *error;

  const Nanos measure_at = plan.mode == Mode::once_each ? 0 : plan.warmup.count() * kMillisecond;
  const Nanos duration = plan.duration.count() * kMillisecond;
  Shared shared{plan,
                *target,
                steady_now(),
                measure_at,
                measure_at + duration,
                std::vector<std::atomic<std::uint32_t>>(plan.users)};
  std::deque<Worker> workers;
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < plan.threads; ++i) {
    Worker& worker = workers.emplace_back(shared, *requests, i);
    threads.emplace_back([&worker] { worker.run(); });
  }

  std::this_thread::sleep_for(std::chrono::nanoseconds(shared.began + measure_at - steady_now()));
  const auto server_before = usage_of(plan.server_pids);
  const double client_before = own_cpu_seconds();
  for (std::thread& thread : threads) thread.join();
  const auto server_after = usage_of(plan.server_pids);

  Report report;
  report.client_cpu_seconds = own_cpu_seconds() - client_before;
  if (!server_before) return server_before.error();
  if (!server_after) return server_after.error();
  if (!plan.server_pids.empty()) {
    report.server_cpu_seconds = server_after->cpu_seconds - server_before->cpu_seconds;
    report.server_peak_bytes = server_after->peak_bytes;
  }
  for (const Worker& worker : workers) report.tally.merge(worker.tally());
  for (const auto& bids : shared.bids_of_user) {
    report.most_bids = std::max<std::uint64_t>(report.most_bids, bids);
    report.users_over_cap += plan.cap && bids > *plan.cap;
  }
  const Nanos answered = report.tally.last_answer - measure_at;
  report.seconds =
      static_cast<double>(plan.mode == Mode::once_each ? answered : std::max(answered, duration)) / kSecond;
  return report;
}

}  // namespace cx::loadgen
