#include "providers/inference/remote/fallback.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>
#include <future>
#include <latch>
#include <limits>
#include <semaphore>
#include <thread>

#include "providers/inference/remote/backend.hpp"
#include "tests/virtual_time.hpp"

namespace cx::inference::remote {
namespace {

using cx::test::ManualClock;
using std::chrono::milliseconds;

/// A server that answers 0.25, or fails as long as it is told to, and remembers what it was given.
struct Script {
  bool fails = false;
  std::vector<milliseconds> timeouts;
  std::vector<Batch> batches;
};
struct Scripted final : Protocol {
  explicit Scripted(Script& s) : script(s) {}
  std::string_view name() const override { return "scripted"; }
  Result<std::vector<float>> infer(const Batch& batch, milliseconds timeout) override {
    script.timeouts.push_back(timeout);
    script.batches.push_back(batch);
    if (script.fails) return Error{Code::unavailable, "remote-unreachable", "scripted: told to fail.", ""};
    return std::vector<float>(batch.cells(), 0.25F);
  }
  std::optional<Error> ready(milliseconds) override {
    return script.fails
               ? std::optional(Error{Code::unavailable, "remote-unreachable", "scripted: not there.", ""})
               : std::nullopt;
  }
  Script& script;
};

/// This machine: answers 0.75, at most four items at once.
struct Own final : CoLaNetProvider {
  Result<Scores> predict(const Item& item) override { return Scores(item.offers.size(), 0.75F); }
  std::vector<Result<Scores>> predict_batch(std::span<const Item> items) override {
    REQUIRE(items.size() <= max_batch_size());
    std::vector<Result<Scores>> out;
    for (const auto& item : items) out.push_back(predict(item));
    return out;
  }
  std::string provider_name() const override { return "cpu/own"; }
  bool supports_batching() const override { return true; }
  std::size_t max_batch_size() const override { return 4; }
  std::optional<Error> warm_up() override { return std::nullopt; }
};

struct Fixture {
  std::unique_ptr<FallbackProvider> make() {
    auto server = std::make_unique<RemoteProvider>(
        std::make_unique<Scripted>(script),
        RemoteProvider::Options{"m", find_profile("inferentia2"), milliseconds(20)}, clock);
    return std::make_unique<FallbackProvider>(std::move(server), std::make_unique<Own>(), breaker, probe);
  }
  /// Who answers now.
  std::string ask(FallbackProvider& provider, std::size_t count = 1,
                  SteadyTime deadline = SteadyTime::max()) {
    const std::vector<Item> items(count, Item{{}, {1, 2}, deadline});
    const auto scores = provider.predict_batch(items);
    REQUIRE(scores.size() == count);
    const bool by_server = provider.provider_name() == "scripted/m@inferentia2";
    for (const auto& one : scores) {
      REQUIRE(one);
      CHECK(*one == Scores(2, by_server ? 0.25F : 0.75F));
    }
    return by_server ? "server" : "own";
  }

  ManualClock clock;
  Script script;
  RemoteProbe probe;
  std::shared_ptr<Breaker> breaker = std::make_shared<Breaker>(Breaker::Policy{3, milliseconds(1000)}, clock);
};

}  // namespace

TEST_CASE("a batch becomes a matrix: shorter rows are padded, values that are none are zero") {
  Fixture f;
  const auto provider = f.make();
  Item a{{}, {5, 6, 7}}, b{{}, {}}, c{{}, {8}};
  a.features[255] = 0.5F;
  c.features[0] = std::numeric_limits<float>::quiet_NaN();
  c.features[1] = std::numeric_limits<float>::infinity();
  const std::vector<Item> items{a, b, c};
  const auto scores = provider->predict_batch(items);
  REQUIRE(f.script.batches.size() == 1);
  const auto& batch = f.script.batches[0];
  CHECK(batch.rows == 3);
  CHECK(batch.width == 3);
  CHECK(batch.offers == std::vector<std::int32_t>{5, 6, 7, -1, -1, -1, 8, -1, -1});
  REQUIRE(batch.features.size() == 3 * kFeatures);
  CHECK(batch.features[255] == 0.5F);
  CHECK(batch.features[2 * kFeatures] == 0);
  CHECK(batch.features[2 * kFeatures + 1] == 0);
  CHECK(scores[0]->size() == 3);
  CHECK(scores[1]->empty());
  CHECK(scores[2]->size() == 1);

  const std::vector<Item> nothing(2);
  CHECK(provider->predict_batch(nothing).size() == 2);
  CHECK(f.script.batches.size() == 1);  // nobody was asked for nothing
}

TEST_CASE("the server has its timeout, or what the deadline leaves") {
  Fixture f;
  const auto provider = f.make();
  const auto now = f.clock.steady_now;
  CHECK(f.ask(*provider) == "server");
  CHECK(f.ask(*provider, 1, now + milliseconds(100)) == "server");
  CHECK(f.ask(*provider, 1, now + milliseconds(9)) == "server");
  CHECK(f.script.timeouts == std::vector{milliseconds(20), milliseconds(20), milliseconds(8)});
  // No time for anybody else is no failure of the server.
  for (int i = 0; i < 10; ++i) CHECK(f.ask(*provider, 1, now + std::chrono::microseconds(1900)) == "own");
  for (int i = 0; i < 10; ++i) CHECK(f.ask(*provider, 1, now - milliseconds(1)) == "own");
  CHECK(f.script.timeouts.size() == 3);
  CHECK_FALSE(f.breaker->open());
  CHECK(f.probe.answered.value() == 3);
  CHECK(f.probe.skipped.value() == 20);
}

TEST_CASE("the earliest deadline of a batch is the batch's") {
  Fixture f;
  const auto provider = f.make();
  std::vector<Item> items(3, Item{{}, {1}});
  items[1].deadline = f.clock.steady_now + milliseconds(5);
  items[2].deadline = f.clock.steady_now + milliseconds(15);
  CHECK(provider->predict_batch(items).size() == 3);
  CHECK(f.script.timeouts == std::vector{milliseconds(4)});
}

TEST_CASE("a server that fails rests, for all providers, and one request finds out whether it is back") {
  Fixture f;
  const auto one = f.make(), other = f.make();
  f.script.fails = true;
  CHECK(f.ask(*one) == "own");
  CHECK(f.ask(*other) == "own");
  CHECK_FALSE(f.breaker->open());
  CHECK(f.ask(*one) == "own");
  CHECK(f.breaker->open());
  CHECK(f.probe.resting);
  CHECK(f.probe.failed.value() == 3);
  for (int i = 0; i < 50; ++i) CHECK(f.ask(i % 2 == 0 ? *one : *other) == "own");
  CHECK(f.script.timeouts.size() == 3);  // nobody asked it meanwhile
  CHECK(f.probe.skipped.value() == 50);

  f.clock.steady_now += milliseconds(1000);
  CHECK(f.ask(*one) == "own");  // tried, in vain
  CHECK(f.ask(*one) == "own");
  CHECK(f.script.timeouts.size() == 4);

  f.clock.steady_now += milliseconds(1000);
  f.script.fails = false;
  CHECK(f.ask(*other) == "server");
  CHECK_FALSE(f.probe.resting);
  CHECK(f.ask(*one) == "server");

  // Failures have to be in a row.
  for (int i = 0; i < 20; ++i) {
    f.script.fails = i % 3 != 0;
    f.ask(*one);
    CHECK_FALSE(f.breaker->open());
  }
}

TEST_CASE("while it is being tried, the others do not ask") {
  ManualClock clock;
  Breaker breaker({1, milliseconds(1000)}, clock);
  CHECK(breaker.admits());
  CHECK(breaker.report(false));
  CHECK_FALSE(breaker.admits());
  clock.steady_now += milliseconds(1000);
  CHECK(breaker.admits());
  CHECK_FALSE(breaker.admits());
  clock.steady_now += milliseconds(1000);  // who tried was never heard of again
  CHECK(breaker.admits());
  CHECK(breaker.report(true));
  CHECK(breaker.admits());
  CHECK(breaker.admits());
}

TEST_CASE("a batch is the server's size, and the fallback cuts it to its own") {
  Fixture f;
  const auto provider = f.make();
  CHECK(provider->max_batch_size() == 16);
  CHECK(f.ask(*provider, 16) == "server");
  f.script.fails = true;
  CHECK(f.ask(*provider, 15) == "own");
  CHECK(f.probe.failed.value() == 1);
}

TEST_CASE("a node starts without its server") {
  Fixture f;
  f.script.fails = true;
  const auto provider = f.make();
  CHECK_FALSE(provider->warm_up());
  CHECK(f.ask(*provider) == "own");
}

TEST_CASE("the pool's answers name who gave them, batch by batch") {
  Fixture f;
  Metrics metrics("test");
  BatchProbe batches;
  cx::test::VirtualTime time;
  auto pool = spawn_supervisor(
      time.system, {.pool = 1}, [&] { return f.make(); }, time.clock, metrics, batches);
  std::vector<std::string> models;
  const auto ask = [&] {
    v1::Predict request;
    request.set_deadline((time.clock.steady() + milliseconds(100)).time_since_epoch().count());
    const Features features{};
    request.add_items()->set_features(features.data(), sizeof(features));
    request.mutable_items(0)->add_offers(3);
    auto client = time.system.spawn([&, request](caf::event_based_actor* self) {
      self->request(pool, caf::infinite, request)
          .then([&](const v1::Predicted& answer) { models.push_back(answer.model()); },
                [&](const caf::error&) { models.emplace_back("error"); });
    });
    time.run();
  };
  ask();
  f.script.fails = true;
  ask();
  f.script.fails = false;
  ask();
  CHECK(models == std::vector<std::string>{"scripted/m@inferentia2", "cpu/own", "scripted/m@inferentia2"});
  caf::anon_send_exit(pool, caf::exit_reason::user_shutdown);
  time.run();
}

TEST_CASE("providers that wait for a server hold up no other actor") {
  struct Waiting final : CoLaNetProvider {
    Waiting(std::counting_semaphore<>& e, std::latch& g) : entered(e), gate(g) {}
    Result<Scores> predict(const Item& item) override { return own.predict(item); }
    std::vector<Result<Scores>> predict_batch(std::span<const Item> items) override {
      entered.release();
      gate.wait();
      return own.predict_batch(items);
    }
    std::string provider_name() const override { return "waiting"; }
    bool supports_batching() const override { return true; }
    std::size_t max_batch_size() const override { return 4; }
    std::optional<Error> warm_up() override { return std::nullopt; }
    Own own;
    std::counting_semaphore<>& entered;
    std::latch& gate;
  };
  std::counting_semaphore<> entered(0);
  std::latch gate(1), answered(2);
  const SystemClock clock;
  Metrics metrics("test");
  BatchProbe batches;
  v1::ActorsConfig limits;
  limits.set_threads(1);
  limits.set_throughput(10);
  SystemConfig config(limits);
  caf::actor_system system(config);
  const auto pool = spawn_supervisor(
      system, {.pool = 2, .own_threads = true, .hedge_every = 0},
      [&] { return std::make_unique<Waiting>(entered, gate); }, clock, metrics, batches);
  v1::Predict request;
  request.set_deadline(std::numeric_limits<std::int64_t>::max());
  const Features features{};
  request.add_items()->set_features(features.data(), sizeof(features));
  request.mutable_items(0)->add_offers(3);
  while (batches.warm < 2) std::this_thread::yield();  // else both requests may become one batch
  for (int i = 0; i < 2; ++i) {
    system.spawn([&](caf::event_based_actor* self) {
      self->request(pool, caf::infinite, request)
          .then([&](const v1::Predicted&) { answered.count_down(); },
                [&](const caf::error&) { answered.count_down(); });
    });
    entered.acquire();
  }
  // Both providers wait, and there is one thread for all others.
  std::promise<void> other;
  system.spawn([&] { other.set_value(); });
  other.get_future().wait();
  gate.count_down();
  answered.wait();
  caf::anon_send_exit(pool, caf::exit_reason::user_shutdown);
}

TEST_CASE("a configuration makes the backend, or says which field is wrong") {
  ManualClock clock;
  RemoteProbe probe;
  const ProviderFactory own = [] { return std::make_unique<Own>(); };
  v1::InferenceConfig good;
  good.set_provider("kserve-http");
  good.set_url("http://127.0.0.1:8501/");
  good.set_remote_model("colanet");
  good.set_profile("groq");
  good.set_timeout_ms(20);
  for (const auto* name : {"kserve-http", "kserve-grpc", "tfserving"}) {
    auto config = good;
    config.set_provider(name);
    const auto factory = make_backend(config, own, clock, probe);
    REQUIRE(factory);
    const auto provider = (*factory)();
    CHECK(provider->provider_name() == std::string(name) + "/colanet@groq");
    CHECK(provider->max_batch_size() == 64);
  }
  for (const auto* name : {"", "cpu"}) {
    auto config = good;
    config.set_provider(name);
    config.clear_url();
    const auto factory = make_backend(config, own, clock, probe);
    REQUIRE(factory);
    CHECK((*factory)()->provider_name() == "cpu/own");
  }
  struct Case {
    const char *field, *value;
  };
  const Case cases[] = {{"provider", "onnx"},
                        {"url", ""},
                        {"url", "127.0.0.1:8501"},
                        {"url", "ftp://127.0.0.1:8501"},
                        {"url", "http://127.0.0.1:8501/v2"},
                        {"url", "http://user:secret@127.0.0.1:8501"},
                        {"remote_model", ""},
                        {"remote_model", "a/../b"},
                        {"profile", "tpu"}};
  for (const auto& c : cases) {
    CAPTURE(std::string(c.field));
    CAPTURE(std::string(c.value));
    auto config = good;
    const auto* field = v1::InferenceConfig::descriptor()->FindFieldByName(c.field);
    config.GetReflection()->SetString(&config, field, c.value);
    const auto refused = make_backend(config, own, clock, probe);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().pointer == std::string("/inference/") + c.field);
    CHECK(refused.error().detail.find(std::string("inference.") + c.field) == 0);
  }
}

}  // namespace cx::inference::remote
