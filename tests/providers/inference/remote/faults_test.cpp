#include <set>

#include "providers/inference/remote/fallback.hpp"
#include "tests/providers/inference/remote/server.hpp"

// Real servers and real sockets. Nothing here depends on how fast this machine is: what has to time out
// never comes, and what has to come is waited for much longer than it takes.

namespace cx::inference::remote {
namespace {

using kserve_sim::Mode;
using std::chrono::milliseconds;

constexpr milliseconds kPatient{20'000};  // for answers that come
constexpr milliseconds kShort{60};        // for those that do not

std::vector<Scores> scores_of(CoLaNetProvider& provider, std::span<const Item> items) {
  std::vector<Scores> out;
  for (const auto& one : provider.predict_batch(items)) {
    REQUIRE(one);
    out.push_back(*one);
  }
  return out;
}

}  // namespace

TEST_CASE("whatever a server does, the caller has an answer, and it names who gave it") {
  struct Fault {
    const char* name;
    Mode mode;
    unsigned status;
    bool never;  // no complete answer comes
    const char *http, *grpc;
  };
  const Fault faults[] = {
      {"timeout", Mode::hang, 0, true, "remote-timeout", "remote-timeout"},
      {"503", Mode::error, 503, false, "remote-refused", "remote-unreachable"},
      {"500", Mode::error, 500, false, "remote-refused", "remote-refused"},
      {"slow body", Mode::slow, 0, true, "remote-timeout", "remote-timeout"},
      {"malformed", Mode::malformed, 0, false, "remote-malformed", "remote-malformed"},
      {"wrong shape", Mode::wrong_shape, 0, false, "remote-malformed", "remote-malformed"},
      {"wrong type", Mode::wrong_type, 0, false, "remote-malformed", "remote-malformed"},
      {"NaN", Mode::nan, 0, false, "remote-malformed", "remote-malformed"},
      {"out of range", Mode::out_of_range, 0, false, "remote-malformed", "remote-malformed"},
      {"too long", Mode::huge, 0, false, "remote-malformed", "remote-refused"},
      {"reset", Mode::reset, 0, false, "remote-unreachable", "remote-unreachable"},
      {"dies mid-answer", Mode::cut, 0, false, "remote-malformed", "remote-unreachable"},
  };
  test::ModelServer server;
  const SystemClock clock;
  const auto batch = test::items(16);
  const auto own = scores_of(*test::linear(1), batch), theirs = scores_of(*test::linear(7), batch);
  for (const auto* protocol : test::kProtocols) {
    for (const auto& fault : faults) {
      CAPTURE(protocol);
      CAPTURE(std::string(fault.name));
      const auto timeout = fault.never ? kShort : kPatient;
      auto alone = test::provider(protocol, server.url(protocol), clock, timeout);
      server.simulator().behave({fault.mode, 1, std::nullopt, fault.status, milliseconds(600'000)});
      const auto refused = alone->ask(batch);
      REQUIRE_FALSE(refused);
      const std::string_view expected = std::string_view(protocol) == "kserve-grpc" ? fault.grpc : fault.http;
      CHECK_MESSAGE(refused.error().type == expected, refused.error().detail);
      CHECK(refused.error().detail.find(protocol) == 0);

      RemoteProbe probe;
      FallbackProvider provider(test::provider(protocol, server.url(protocol), clock, timeout),
                                test::linear(1), std::make_shared<Breaker>(Breaker::Policy{}, clock), probe);
      CHECK(scores_of(provider, batch) == own);
      CHECK(provider.provider_name() == "cpu/seeded-linear@1");
      CHECK(probe.failed.value() == 1);

      // And when it is well again, the same connections serve.
      server.simulator().behave({});
      FallbackProvider patient(test::provider(protocol, server.url(protocol), clock, kPatient),
                               test::linear(1), std::make_shared<Breaker>(Breaker::Policy{}, clock), probe);
      const auto well = scores_of(patient, batch);
      CHECK(patient.provider_name() == fmt::format("{}/colanet@cpu", protocol));
      REQUIRE(well.size() == theirs.size());
      for (std::size_t i = 0; i < well.size(); ++i) {
        REQUIRE(well[i].size() == theirs[i].size());
        for (std::size_t k = 0; k < well[i].size(); ++k) CHECK(well[i][k] == doctest::Approx(theirs[i][k]));
      }
      bool again = false;
      for (int i = 0; i < 100 && !again; ++i) again = bool(alone->ask(test::items(1)));
      CHECK(again);
    }
  }
}

TEST_CASE("nobody listens") {
  std::string url;
  {
    const test::ModelServer server;
    url = server.url("kserve-http");
  }
  const SystemClock clock;
  for (const auto* protocol : test::kProtocols) {
    CAPTURE(protocol);
    auto provider = test::provider(protocol, url, clock, kPatient);
    const auto refused = provider->ask(test::items(1));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().type == "remote-unreachable");
    CHECK(provider->warm_up());
  }
}

TEST_CASE("a server that is slow, but in time, is believed") {
  test::ModelServer server;
  const SystemClock clock;
  for (const auto* protocol : test::kProtocols) {
    CAPTURE(protocol);
    auto provider = test::provider(protocol, server.url(protocol), clock, kPatient);
    CHECK_FALSE(provider->warm_up());
    server.simulator().behave({Mode::slow, 1, 1, 503, milliseconds(30)});
    const auto answer = provider->ask(test::items(3));
    CHECK_MESSAGE(answer, (answer ? "" : answer.error().detail));
  }
}

TEST_CASE("tensors arrive to the bit") {
  test::ModelServer server;
  const SystemClock clock;
  const auto model = test::linear(7);
  for (const auto* protocol : {"kserve-http", "kserve-grpc"}) {
    CAPTURE(protocol);
    auto provider = test::provider(protocol, server.url(protocol), clock, kPatient);
    for (std::size_t size = 1; size <= 32; size += 5) {
      const auto batch = test::items(size, size);
      CHECK(scores_of(*provider, batch) == scores_of(*model, batch));
    }
  }
}

TEST_CASE("a profile bounds the batch, and rounds as its hardware does") {
  const SystemClock clock;
  std::set<std::vector<float>> distinct;
  for (const auto& profile : profiles()) {
    CAPTURE(profile.name);
    test::ModelServer server(profile.name);
    auto provider = test::provider("kserve-http", server.url("kserve-http"), clock, kPatient, profile.name);
    CHECK(provider->max_batch_size() == profile.max_batch);
    CHECK(provider->provider_name() == fmt::format("kserve-http/colanet@{}", profile.name));
    const auto full = provider->ask(test::items(profile.max_batch));
    REQUIRE(full);
    distinct.insert(full->front());
    const auto more = provider->ask(test::items(profile.max_batch + 1));
    REQUIRE_FALSE(more);
    CHECK(more.error().type == "batch-too-large");
    // The server says so, too.
    auto careless = test::provider("kserve-http", server.url("kserve-http"), clock, kPatient, "ampere");
    if (profile.max_batch < 128)
      CHECK(careless->ask(test::items(profile.max_batch + 1)).error().type == "remote-refused");
  }
  CHECK(distinct.size() == 4);  // fp32, fp16, bf16, int8
}

TEST_CASE("what the server does not know, it says") {
  test::ModelServer server;
  const SystemClock clock;
  for (const auto* protocol : test::kProtocols) {
    CAPTURE(protocol);
    auto provider = test::provider(protocol, server.url(protocol), clock, kPatient);
    auto item = test::items(1).front();
    item.offers.push_back(test::kOffers);
    const auto unknown = provider->ask({&item, 1});
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().type == "remote-refused");
    CHECK(unknown.error().detail.find("Offer row 200 is not in the model's table") != std::string::npos);
  }
}

TEST_CASE("no answer that is damaged on its way brings scores that are none") {
  test::ModelServer server;
  Random random(5);
  bool damage = false;
  // The simulator's own answers, of which a byte is another, some are missing, or some are doubled.
  vendor_sim::Server harmful("127.0.0.1", 0, [&](const vendor_sim::Request& request) {
    auto answer = kserve_sim::answer(server.simulator(), request);
    auto& body = answer.response.body();
    answer.delay = {};
    if (!damage || body.empty()) return answer;
    const auto at = random.below(static_cast<std::uint32_t>(std::min<std::size_t>(body.size(), 300)));
    const auto kind = random.below(4);
    if (kind == 0) body[at] = static_cast<char>(random.below(256));
    if (kind == 1) body.erase(at, random.below(20) + 1);
    if (kind == 2) body.insert(at, body.substr(at, random.below(20)));
    if (kind == 3) answer.response.set("Inference-Header-Content-Length", std::to_string(random.next()));
    return answer;
  });
  const auto port = harmful.start();
  REQUIRE(port);
  const auto url = fmt::format("http://127.0.0.1:{}", *port);
  const SystemClock clock;
  for (const auto* protocol : {"kserve-http", "tfserving"}) {
    CAPTURE(protocol);
    auto provider = test::provider(protocol, url, clock, kPatient);
    const auto batch = test::items(4);
    damage = false;
    CHECK(provider->ask(batch).operator bool());
    damage = true;
    for (int round = 0; round < 300; ++round) {
      const auto answer = provider->ask(batch);
      if (!answer) continue;
      REQUIRE(answer->size() == batch.size());
      for (std::size_t i = 0; i < batch.size(); ++i) {
        CHECK((*answer)[i].size() == batch[i].offers.size());
        for (const float p : (*answer)[i]) CHECK((p >= 0 && p <= 1));
      }
    }
  }
}

}  // namespace cx::inference::remote
