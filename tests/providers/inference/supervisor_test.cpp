#include "providers/inference/supervisor.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>
#include <stdexcept>

#include "tests/virtual_time.hpp"

namespace cx::inference {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// Scores an item by its first feature, fails offer 404, throws at 500, and records the sizes of its batches.
struct Scripted final : CoLaNetProvider {
  explicit Scripted(std::vector<std::size_t>& b) : batches(b) {}
  Result<Scores> predict(const Item& item) override {
    if (item.offers.front() == 404)
      return Error{Code::invalid_argument, "unknown-offer", "no such offer", ""};
    if (item.offers.front() == 500) throw std::runtime_error("broken");
    return Scores(item.offers.size(), item.features[0]);
  }
  std::vector<Result<Scores>> predict_batch(std::span<const Item> items) override {
    batches.push_back(items.size());
    std::vector<Result<Scores>> out;
    for (const auto& item : items) out.push_back(predict(item));
    return out;
  }
  std::string provider_name() const override { return "scripted"; }
  bool supports_batching() const override { return true; }
  std::size_t max_batch_size() const override { return 32; }
  std::optional<Error> warm_up() override { return std::nullopt; }
  std::vector<std::size_t>& batches;
};

struct Fixture {
  explicit Fixture(BatchPolicy policy)
      : pool(spawn_supervisor(
            time.system, policy, [this] { return std::make_unique<Scripted>(batches); }, time.clock, metrics,
            probe)),
        client(time.system.spawn([this](caf::event_based_actor* self) {
          return caf::behavior{[this, self](std::size_t at, const v1::Predict& request) {
            self->request(pool, caf::infinite, request)
                .then([this, at](const v1::Predicted& p) { answers[at] = p.items(0).values(0); },
                      [this, at](const caf::error&) { answers[at] = kFailed; });
          }};
        })) {}
  ~Fixture() {
    caf::anon_send_exit(client, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(pool, caf::exit_reason::user_shutdown);
    time.run();
  }

  static constexpr float kWaiting = -1, kFailed = -2;

  std::size_t ask(float feature, std::uint32_t offer = 1, milliseconds deadline = milliseconds(100),
                  int items = 1) {
    v1::Predict request;
    request.set_deadline((time.clock.steady() + deadline).time_since_epoch().count());
    for (int i = 0; i < items; ++i) {
      Features features{};
      features[0] = feature;
      request.add_items()->set_features(features.data(), sizeof(features));
      request.mutable_items(i)->add_offers(offer);
    }
    answers.push_back(kWaiting);
    caf::anon_send(client, answers.size() - 1, request);
    return answers.size() - 1;
  }

  // Lets the supervisor see the requests, and the providers nothing: they stay busy.
  void run_without_providers() {
    time.scheduler().run_jobs_filtered([](caf::resumable* job) {
      const auto* actor = dynamic_cast<caf::scheduled_actor*>(job);
      return actor == nullptr || std::string_view(actor->name()) != "inference-provider";
    });
  }

  Metrics metrics{"test"};
  BatchProbe probe;
  test::VirtualTime time;
  std::vector<std::size_t> batches;
  std::vector<float> answers;
  InferencePool pool;
  caf::actor client;
};

}  // namespace

TEST_CASE("an idle pool scores at once") {
  Fixture f({});
  f.ask(0.5F);
  f.time.run();
  CHECK(f.answers[0] == 0.5F);
  CHECK(f.batches == std::vector<std::size_t>{1});
}

TEST_CASE("while every provider is busy, a batch fills up to its limit and no further") {
  Fixture f({.batch_items = 16, .pool = 1});
  for (int i = 0; i < 40; ++i) f.ask(static_cast<float>(i));
  f.run_without_providers();
  f.time.run();
  CHECK(f.batches == std::vector<std::size_t>{1, 16, 16, 7});
  for (int i = 0; i < 40; ++i) CHECK(f.answers[static_cast<std::size_t>(i)] == static_cast<float>(i));
}

TEST_CASE("the oldest waits for a busy provider no longer than the bound") {
  Fixture f({.batch_items = 16, .batch_wait = microseconds(500), .pool = 1});
  f.ask(1);
  f.run_without_providers();
  f.ask(2);
  f.run_without_providers();
  CHECK(f.probe.items.read().count() == 1);
  // The provider stays busy; time passes.
  for (int i = 0; i < 5; ++i) {
    f.time.clock.steady_now += microseconds(100);
    f.time.scheduler().advance_time(microseconds(100));
    f.run_without_providers();
  }
  CHECK(f.probe.items.read().count() == 2);
  CHECK(f.probe.wait_ns.read().max() <= 510'000);
  f.time.run();
  CHECK(f.answers[1] == 2);
}

TEST_CASE("a request past its deadline is refused before it is scored") {
  Fixture f({.pool = 1});
  f.ask(1);
  f.ask(2, 1, milliseconds(0));
  f.ask(3);
  f.time.run();
  CHECK(f.answers == std::vector<float>{1, Fixture::kFailed, 3});
  CHECK(f.probe.expired.value() == 1);
}

TEST_CASE("a full queue refuses at once, and takes more when it has drained") {
  Fixture f({.batch_items = 4, .pool = 1, .max_queue = 10});
  for (int i = 0; i < 15; ++i) f.ask(7);
  f.run_without_providers();
  CHECK(std::count(f.answers.begin(), f.answers.end(), Fixture::kFailed) == 5);
  f.time.run();
  CHECK(std::count(f.answers.begin(), f.answers.end(), 7.0F) == 10);
  f.ask(8);
  f.time.run();
  CHECK(f.answers.back() == 8);
  CHECK(f.probe.shed.value() == 5);
}

TEST_CASE("one bad item fails its request, not its neighbours; a provider that throws is replaced") {
  Fixture f({.pool = 1});
  f.ask(1);
  f.ask(2, 404);
  f.ask(3);
  f.time.run();
  CHECK(f.answers == std::vector<float>{1, Fixture::kFailed, 3});
  f.ask(4, 500);
  f.time.run();
  CHECK(f.answers.back() == Fixture::kFailed);
  f.ask(5);
  f.time.run();
  CHECK(f.answers.back() == 5);
  CHECK(f.metrics.kind("inference-provider").failures.value() == 1);
}

TEST_CASE("a request with more items than a batch is scored whole") {
  Fixture f({.batch_items = 16, .pool = 1});
  f.ask(9, 1, milliseconds(100), 50);
  f.time.run();
  CHECK(f.answers[0] == 9);
  CHECK(f.batches == std::vector<std::size_t>{32, 18});  // the provider takes 32 at most
}

TEST_CASE("a malformed feature vector is refused") {
  Fixture f({.pool = 1});
  v1::Predict request;
  request.set_deadline((f.time.clock.steady() + milliseconds(9)).time_since_epoch().count());
  request.add_items()->set_features("short");
  f.answers.push_back(Fixture::kWaiting);
  caf::anon_send(f.client, std::size_t{0}, request);
  f.time.run();
  CHECK(f.answers[0] == Fixture::kFailed);
}

}  // namespace cx::inference
