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
struct Scripted : CoLaNetProvider {
  explicit Scripted(std::vector<std::size_t>& b, std::string n = "scripted")
      : batches(b), name(std::move(n)) {}
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
  std::string provider_name() const override { return name; }
  bool supports_batching() const override { return true; }
  std::size_t max_batch_size() const override { return 32; }
  std::optional<Error> warm_up() override { return std::nullopt; }
  std::vector<std::size_t>& batches;
  std::string name;
};

struct Broken final : Scripted {
  using Scripted::Scripted;
  std::optional<Error> warm_up() override { return Error{Code::unavailable, "no-model", "no model", ""}; }
};

struct Fixture {
  explicit Fixture(BatchPolicy policy)
      : pool(spawn_supervisor(
            time.system, policy,
            [this] { return std::make_unique<Scripted>(batches, "scripted-" + std::to_string(++providers)); },
            time.clock, metrics, probe)),
        client(time.system.spawn([this](caf::event_based_actor* self) {
          return caf::behavior{[this, self](std::size_t at, const v1::Predict& request) {
            self->request(pool, caf::infinite, request)
                .then(
                    [this, at](const v1::Predicted& p) {
                      CHECK(answers[at] == kWaiting);
                      answers[at] = p.items(0).values(0);
                      last = p;
                    },
                    [this, at](const caf::error& error) {
                      CHECK(answers[at] == kWaiting);
                      answers[at] = kFailed;
                      why = caf::to_string(error);
                    });
          }};
        })) {
    time.run();  // the providers get warm
  }
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
  v1::Predicted last;
  std::string why;
  int providers = 0;
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

TEST_CASE("an item that is bad or at which a provider throws costs its neighbours in the batch nothing") {
  for (const std::uint32_t bad : {404U, 500U}) {
    CAPTURE(bad);
    Fixture f({.pool = 1});
    f.ask(1);
    f.run_without_providers();
    f.ask(2);
    f.ask(3, bad);
    f.ask(4);
    f.time.run();
    CHECK(f.answers == std::vector<float>{1, 2, Fixture::kFailed, 4});
    CHECK(f.last.model() == (bad == 404 ? "scripted-1" : "scripted-3"));
    CHECK(f.metrics.kind("inference-provider").failures.value() == (bad == 404 ? 0 : 1));
    f.ask(5);
    f.time.run();
    CHECK(f.answers.back() == 5);
  }
}

TEST_CASE("an item that could not be scored has no values, those beside it in the request do") {
  Fixture f({.batch_items = 4, .pool = 1});
  for (const int items : {3, 11}) {
    v1::Predict request;
    request.set_deadline((f.time.clock.steady() + milliseconds(9)).time_since_epoch().count());
    for (int i = 0; i < items; ++i) {
      Features features{};
      features[0] = static_cast<float>(i);
      request.add_items()->set_features(features.data(), sizeof(features));
      request.mutable_items(i)->add_offers(i == 1 ? 404 : i == 2 || i > 7 ? 1 : 500);
    }
    request.mutable_items(0)->set_offers(0, 1);
    f.answers.push_back(Fixture::kWaiting);
    caf::anon_send(f.client, f.answers.size() - 1, request);
    f.time.run();
    REQUIRE(f.last.items_size() == items);
    for (int i = 0; i < items; ++i) {
      CAPTURE(i);
      const bool good = i == 0 || i == 2 || i > 7;
      REQUIRE(f.last.items(i).values_size() == (good ? 1 : 0));
      if (good) CHECK(f.last.items(i).values(0) == static_cast<float>(i));
    }
  }
}

TEST_CASE("nothing is ready before a provider is warm") {
  test::VirtualTime time;
  Metrics metrics("test");
  BatchProbe probe;
  std::vector<std::size_t> batches;
  const auto pool = spawn_supervisor(
      time.system, {.pool = 3},
      [&, made = 0]() mutable -> std::unique_ptr<CoLaNetProvider> {
        if (++made == 2) return std::make_unique<Broken>(batches);
        return std::make_unique<Scripted>(batches);
      },
      time.clock, metrics, probe);
  CHECK(probe.warm == 0);
  time.run();
  CHECK(probe.warm == 2);  // one of them could not be made
  caf::anon_send_exit(pool, caf::exit_reason::user_shutdown);
  time.run();
  CHECK(probe.warm == 0);
}

TEST_CASE("a drain scores what waits, refuses what comes, and says when it is done") {
  Fixture f({.batch_items = 4, .pool = 1});
  for (int i = 0; i < 30; ++i) f.ask(static_cast<float>(i));
  f.run_without_providers();
  bool drained = false;
  drain(f.pool, [&] { drained = true; });
  f.run_without_providers();
  f.ask(99);
  f.run_without_providers();
  CHECK_FALSE(drained);
  CHECK(f.answers.back() == Fixture::kFailed);
  f.time.run();
  CHECK(drained);
  for (int i = 0; i < 30; ++i) CHECK(f.answers[static_cast<std::size_t>(i)] == static_cast<float>(i));
}

TEST_CASE("a provider that throws is replaced") {
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

TEST_CASE("a request with more items than a batch is scored in parts and answered whole") {
  for (const std::size_t pool : {1U, 3U}) {
    Fixture f({.batch_items = 16, .pool = pool, .max_queue = 60});
    v1::Predict request;
    request.set_deadline((f.time.clock.steady() + milliseconds(9)).time_since_epoch().count());
    for (int i = 0; i < 50; ++i) {
      Features features{};
      features[0] = static_cast<float>(i);
      request.add_items()->set_features(features.data(), sizeof(features));
      request.mutable_items(i)->add_offers(7);
    }
    f.answers = {Fixture::kWaiting, Fixture::kWaiting};
    caf::anon_send(f.client, std::size_t{0}, request);
    caf::anon_send(f.client, std::size_t{1}, request);  // finds no room for all of it, and takes none
    f.run_without_providers();
    CHECK(f.answers == std::vector<float>{Fixture::kWaiting, Fixture::kFailed});
    CHECK(f.why.find("queue is full") != std::string::npos);
    f.time.run();
    CHECK(f.batches == std::vector<std::size_t>{16, 16, 16, 2});
    REQUIRE(f.last.items_size() == 50);
    for (int i = 0; i < 50; ++i) CHECK(f.last.items(i).values(0) == static_cast<float>(i));
    CHECK(f.last.model() == (pool == 1 ? "scripted-1" : "scripted-1, scripted-2, scripted-3"));
    CHECK(f.probe.shed.value() == 1);
  }
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
