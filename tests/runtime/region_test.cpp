#include "runtime/region.hpp"

#include <caf/send.hpp>
#include <doctest/doctest.h>
#include <map>

#include "cx/v1/customer.pb.h"
#include "runtime/random.hpp"
#include "tests/virtual_time.hpp"

// A made-up entity: a tally that counts up and remembers its sum for an hour. It borrows messages of the
// contract.
using Add = cx::v1::ReserveImpressions;
using Sum = cx::v1::ImpressionsGranted;
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(Add)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(Sum)

namespace cx {
namespace {

constexpr std::uint32_t kPoison = 1'000'000;

struct Tally {
  using State = v1::FrequencyCap;
  using Event = v1::ImpressionsReserved;
  using Commands = std::tuple<Add>;

  State wake(std::string_view, const std::string* memory) const {
    State state;
    if (memory != nullptr) state.ParseFromString(*memory);
    return state;
  }
  static std::optional<Memory> sleep(const State& state, std::int64_t now) {
    if (state.per_hour() == 0) return std::nullopt;
    return Memory{state.SerializeAsString(), now + 3'600'000};
  }
  static Outcome<Event, Sum> handle(const State& state, const Add& add, const Context&) {
    if (add.count() == kPoison) throw std::runtime_error("poison");
    Outcome<Event, Sum> out;
    if (add.count() > 0) out.events.emplace_back().set_count(add.count());
    out.reply.set_granted(state.per_hour() + add.count());
    return out;
  }
  static void apply(State& state, const Event& event) {
    state.set_per_hour(state.per_hour() + event.count());
  }
};

struct Fixture {
  explicit Fixture(RegionLimits limits)
      : region(time.system.spawn<Region<Tally>>(metrics.kind("region"), metrics.kind("tally"), time.clock,
                                                Tally{}, limits)),
        client(time.system.spawn([this](caf::event_based_actor* self) {
          return caf::behavior{[this, self](std::size_t at, const std::string& key, const Add& command) {
            self->request(region, caf::infinite, key, command)
                .then([this, at](const Sum& sum) { answers[at] = sum.granted(); },
                      [this, at](const caf::error&) { answers[at] = kRefused; });
          }};
        })) {}
  ~Fixture() {
    caf::anon_send_exit(client, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(region, caf::exit_reason::user_shutdown);
    time.run();
  }

  static constexpr std::int64_t kWaiting = -1, kRefused = -2;

  // Sends `count` for `key`; its answer will be at the returned position.
  std::size_t add(const std::string& key, std::uint32_t count) {
    Add command;
    command.set_count(count);
    answers.push_back(kWaiting);
    caf::anon_send(client, answers.size() - 1, key, command);
    return answers.size() - 1;
  }
  std::int64_t ask(const std::string& key, std::uint32_t count = 0) {
    const auto at = add(key, count);
    time.run();
    return answers[at];
  }
  std::int64_t live() { return metrics.kind("tally").live.value(); }
  std::int64_t asleep() { return metrics.kind("tally").asleep.value(); }

  Metrics metrics{"test"};
  test::VirtualTime time;
  std::vector<std::int64_t> answers;
  caf::actor region, client;
};

}  // namespace

TEST_CASE("an entity wakes on its first message and answers each in turn") {
  Fixture f({});
  CHECK(f.ask("a", 2) == 2);
  CHECK(f.ask("a", 3) == 5);
  CHECK(f.ask("b", 1) == 1);
  CHECK(f.live() == 2);
}

TEST_CASE("the idle fall asleep and wake with what they remember; the forgettable leave no trace") {
  Fixture f({.idle_ms = 1'000});
  f.ask("a", 7);
  f.ask("nobody");
  f.time.advance(std::chrono::seconds(3));
  CHECK(f.live() == 0);
  CHECK(f.asleep() == 1);
  CHECK(f.ask("a", 1) == 8);
  CHECK(f.live() == 1);
  CHECK(f.asleep() == 0);
}

TEST_CASE("memories expire") {
  Fixture f({.idle_ms = 1'000});
  f.ask("a", 7);
  f.time.advance(std::chrono::seconds(3));
  f.time.clock.ms += 3'600'000;
  f.time.advance(std::chrono::seconds(1));
  CHECK(f.asleep() == 0);
  CHECK(f.ask("a") == 0);
}

TEST_CASE("more than fit are never awake for long: the longest idle make room") {
  Fixture f({.max_resident = 10, .idle_ms = 1'000'000});
  for (std::uint32_t i = 0; i < 100; ++i) CHECK(f.ask("k" + std::to_string(i), i + 1) == i + 1);
  CHECK(f.live() == 10);
  CHECK(f.asleep() == 90);
  for (std::uint32_t i = 0; i < 100; ++i) CHECK(f.ask("k" + std::to_string(i)) == i + 1);
}

TEST_CASE("a full region refuses newcomers and keeps those it knows") {
  Fixture f({.max_resident = 2, .max_asleep = 1});
  CHECK(f.ask("a", 1) == 1);
  CHECK(f.ask("b", 1) == 1);
  CHECK(f.ask("c", 1) == 1);
  CHECK(f.ask("d", 1) == Fixture::kRefused);
  CHECK(f.ask("a") == 1);
  CHECK(f.ask("c") == 1);
}

TEST_CASE("a handler that throws is an error of that command alone") {
  Fixture f({});
  CHECK(f.ask("a", 5) == 5);
  CHECK(f.ask("a", kPoison) == Fixture::kRefused);
  CHECK(f.ask("a") == 5);
  CHECK(f.metrics.kind("tally").failures.value() == 1);
}

TEST_CASE("no command is lost, doubled or reordered while entities come and go") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Fixture f({.max_resident = 3, .idle_ms = 300});
    Random random(seed);
    std::map<std::string, std::uint32_t> expected;
    std::vector<std::int64_t> wanted;
    for (int i = 0; i < 300; ++i) {
      const auto key = "k" + std::to_string(random.below(8));
      const auto count = 1 + random.below(12);
      f.add(key, count);
      wanted.push_back(expected[key] += count);
      f.time.scheduler().run(
          random.below(12));  // leaves work undone, so that commands meet entities changing sides
      if (random.below(20) == 0) f.time.advance(std::chrono::milliseconds(random.below(400)));
    }
    f.time.run();
    CAPTURE(seed);
    CHECK(f.answers == wanted);
  }
}

}  // namespace cx
