// cx-bench-supervisor: single predictions through the inference supervisor, open loop, Poisson arrivals. Each
// is asked by an actor, as a bid agent asks; its time counts from when it was meant to be asked.

#include "providers/inference/supervisor.hpp"

#include <CLI/CLI.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <sys/prctl.h>
#include <thread>

#include "cx/v1/config.pb.h"
#include "providers/inference/linear.hpp"
#include "runtime/random.hpp"
#include "runtime/system.hpp"
#include "runtime/telemetry/histogram.hpp"

namespace {

using namespace cx;
using std::chrono::nanoseconds;

struct Settings {
  double rate = 10'000, seconds = 5, warmup = 1;
  std::uint32_t offers = 10'000, candidates = 20, threads = 2;
  inference::BatchPolicy policy;
  std::uint64_t seed = 1;
};

/// What came back; of the asking actor until `left` is 0.
struct Answers {
  Histogram latency_ns;
  std::uint64_t answered = 0, failed = 0;
  std::atomic<std::int64_t> left{0};
};

using Intended = std::int64_t;  // steady clock, nanoseconds

class Asker : public caf::event_based_actor {
 public:
  Asker(caf::actor_config& config, InferencePool pool, const Settings& settings, Intended count_from,
        Answers& answers)
      : caf::event_based_actor(config),
        pool_(std::move(pool)),
        settings_(settings),
        count_from_(count_from),
        random_(settings.seed + 1),
        answers_(answers) {
    for (auto& feature : features_) feature = random_.below(10) == 0 ? 1.0F : 0.0F;
  }

 protected:
  caf::behavior make_behavior() override {
    return {[this](Intended at) {
      v1::Predict predict;
      predict.set_deadline(at + 10'000'000'000);  // late answers are to show, not to fail
      auto& item = *predict.add_items();
      item.set_features(features_.data(), sizeof(features_));
      for (std::uint32_t i = 0; i < settings_.candidates; ++i)
        item.add_offers(random_.below(settings_.offers));
      request(pool_, caf::infinite, std::move(predict))
          .then([this, at](const v1::Predicted&) { note(at, true); },
                [this, at](const caf::error&) { note(at, false); });
    }};
  }

 private:
  void note(Intended at, bool good) {
    if (at >= count_from_) {
      ++(good ? answers_.answered : answers_.failed);
      answers_.latency_ns.record(
          static_cast<std::uint64_t>(SystemClock().steady().time_since_epoch().count() - at));
    }
    answers_.left.fetch_sub(1, std::memory_order_release);
  }

  InferencePool pool_;
  const Settings& settings_;
  const Intended count_from_;
  Random random_;
  inference::Features features_{};
  Answers& answers_;
};

/// Sends the intended times when they are due.
void ask(const caf::actor& asker, const Settings& settings, Intended from, Answers& answers) {
  ::prctl(PR_SET_TIMERSLACK, 1'000);  // nanoseconds; 50,000 by default
  Random random(settings.seed);
  const double gap = 1e9 / settings.rate, end = (settings.warmup + settings.seconds) * 1e9;
  for (double at = 0; at < end; at += -std::log1p(-random.uniform()) * gap) {
    const auto due = from + static_cast<Intended>(at);
    std::this_thread::sleep_until(SteadyTime(nanoseconds(due)));
    answers.left.fetch_add(1, std::memory_order_relaxed);
    caf::anon_send(asker, due);
  }
  while (answers.left.load(std::memory_order_acquire) > 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void print(const Settings& settings, const Answers& answers, const inference::BatchProbe& probe,
           double busy_share) {
  const auto us = [](const Histogram& of, double p) { return static_cast<double>(of.percentile(p)) / 1e3; };
  const auto items = probe.items.read();
  const auto waits = probe.wait_ns.read();
  std::printf(
      "{\"what\":\"supervisor\",\"rate\":%.0f,\"seconds\":%.1f,\"answered\":%llu,\"failed\":%llu,\"shed\":%"
      "lld,",
      settings.rate, settings.seconds, static_cast<unsigned long long>(answers.answered),
      static_cast<unsigned long long>(answers.failed), static_cast<long long>(probe.shed.value()));
  std::printf("\"latency_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p99.9\":%.1f,\"max\":%.1f},",
              us(answers.latency_ns, 50), us(answers.latency_ns, 99), us(answers.latency_ns, 99.9),
              us(answers.latency_ns, 100));
  std::printf("\"wait_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f},", us(waits, 50), us(waits, 99),
              us(waits, 100));
  std::printf("\"batches\":%llu,\"mean_batch\":%.3f,\"largest_batch\":%llu,\"batch_us\":%.1f,\"busy\":%.3f,",
              static_cast<unsigned long long>(items.count()), items.mean(),
              static_cast<unsigned long long>(items.max()),
              static_cast<double>(probe.busy_ns.value()) / 1e3 /
                  static_cast<double>(std::max<std::uint64_t>(1, items.count())),
              busy_share);
  std::printf("\"hedges\":%lld,\"hedges_won\":%lld}\n", static_cast<long long>(probe.hedges.value()),
              static_cast<long long>(probe.hedges_won.value()));
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Single predictions through the inference supervisor, open loop. Prints one JSON line.");
  app.add_option("--rate", settings.rate, "predictions a second")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 1e6));
  app.add_option("--seconds", settings.seconds, "measured")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 600.0));
  app.add_option("--warmup", settings.warmup, "seconds before")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 600.0));
  app.add_option("--offers", settings.offers, "of the model")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--candidates", settings.candidates, "offers a prediction")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000));
  app.add_option("--pool", settings.policy.pool, "provider actors")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  app.add_option("--threads", settings.threads, "of actors")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  CLI11_PARSE(app, argc, argv);

  v1::ActorsConfig actors;
  actors.set_threads(settings.threads);
  actors.set_throughput(300);
  SystemConfig config(actors);
  SystemClock clock;
  Metrics metrics("bench");
  inference::BatchProbe probe;
  Answers answers;
  const auto model = std::make_shared<const inference::LinearModel>(1, settings.offers);
  double took = 0;
  {
    caf::actor_system system(config);
    const auto pool = inference::spawn_supervisor(
        system, settings.policy, [&] { return std::make_unique<inference::LinearCpuProvider>(model); }, clock,
        metrics, probe);
    while (probe.warm < settings.policy.pool) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto from = clock.steady();
    const auto count_from =
        (from + nanoseconds(static_cast<std::int64_t>(settings.warmup * 1e9))).time_since_epoch();
    const auto asker = caf::actor_cast<caf::actor>(
        system.spawn<Asker>(pool, settings, Intended{count_from.count()}, answers));
    ask(asker, settings, from.time_since_epoch().count(), answers);
    took = std::chrono::duration<double>(clock.steady() - from).count();
    caf::anon_send_exit(asker, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(pool, caf::exit_reason::user_shutdown);
  }
  print(settings, answers, probe, static_cast<double>(probe.busy_ns.value()) / 1e9 / took);
  return answers.failed == 0 ? 0 : 1;
}
