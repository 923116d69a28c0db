#include "providers/pool/core.hpp"

#include <doctest/doctest.h>
#include <map>
#include <string>

namespace cx::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A core, a time, and names instead of tickets.
struct Bench {
  explicit Bench(const Policy& policy, std::uint64_t seed = 1) : core(policy, Random(seed)) {}

  Admission offer(std::string id, std::string_view key = "k", std::uint32_t weight = 1,
                  Duration lives = Duration::max(), std::optional<Rate> rate = std::nullopt) {
    const auto deadline = lives == Duration::max() ? SteadyTime::max() : now + lives;
    const auto [admission, ticket] = core.offer({id, key, weight, deadline, rate}, now);
    if (admission == Admission::accepted) names[ticket] = std::move(id);
    return admission;
  }
  /// Starts all that goes now: "a b|c" are a batch of a and b, and one of c.
  std::string start() {
    std::string out;
    Batch batch;
    while (core.dispatch(now, batch)) {
      if (!out.empty()) out += '|';
      for (std::size_t i = 0; i < batch.members.size(); ++i)
        out += (i == 0 ? "" : " ") + names.at(batch.members[i].ticket);
      flying[names.at(batch.members.front().ticket)] = batch.id;
    }
    return out;
  }
  /// Reports the batch that begins with an item; the same for each of it.
  void report(const std::string& first, Verdict verdict, Duration after = {}) {
    const auto batch = flying.at(first);
    flying.erase(first);
    const std::vector<Report> reports(core.members(batch).size(), {verdict, after});
    core.finished(batch, reports, now);
  }
  std::string pass(Duration time) {
    now += time;
    return start();
  }
  Answer answer(const std::string& name) {
    core.take_answers(taken);
    for (const auto& one : taken) answers[names.at(one.ticket)] = one;
    REQUIRE(answers.contains(name));
    return answers.at(name);
  }
  bool answered(const std::string& name) {
    core.take_answers(taken);
    for (const auto& one : taken) answers[names.at(one.ticket)] = one;
    return answers.contains(name);
  }

  SteadyTime now{std::chrono::hours(1)};
  Core core;
  std::map<Ticket, std::string> names;
  std::map<std::string, std::uint64_t> flying;
  std::map<std::string, Answer> answers;
  std::vector<Answer> taken;
};

}  // namespace

TEST_CASE("a key goes in the order of arrival, keys take turns") {
  Bench b({});
  for (const auto* id : {"a1", "a2", "a3"}) b.offer(id, "a");
  for (const auto* id : {"b1", "b2"}) b.offer(id, "b");
  std::string order;
  for (auto next = b.start(); !next.empty(); next = b.start()) {
    order += next + " ";
    b.report(next, Verdict::done);
  }
  CHECK(order == "a1 b1 a2 b2 a3 ");
  CHECK((b.answer("a3").ending == Ending::done));
  CHECK(b.core.keys() == 0);
}

TEST_CASE("a throttled key holds up no other, and goes on as its rate allows") {
  Bench b({.worker_batches = 100, .rate = {10, 2}});
  for (int i = 1; i <= 4; ++i) b.offer("a" + std::to_string(i), "a");
  CHECK(b.start() == "a1|a2");
  b.offer("b1", "b");
  CHECK(b.start() == "b1");
  CHECK(b.core.wake() == b.now + milliseconds(100));
  CHECK(b.pass(milliseconds(99)).empty());
  CHECK(b.pass(milliseconds(1)) == "a3");
  CHECK(b.pass(milliseconds(100)) == "a4");
}

TEST_CASE("an item brings its key's rate; a debt made at a slower one is forgiven") {
  Bench b({.worker_batches = 100});
  b.offer("a1", "a", 1, Duration::max(), Rate{0.001, 1});
  b.offer("a2", "a", 1, Duration::max(), Rate{0.001, 1});
  CHECK(b.start() == "a1");
  CHECK(b.core.wake() == b.now + seconds(1000));
  b.offer("a3", "a", 1, Duration::max(), Rate{10, 1});
  CHECK(b.start().empty());
  CHECK(b.pass(milliseconds(100)) == "a2");
  CHECK(b.pass(milliseconds(100)) == "a3");
}

TEST_CASE("a key's rate and room change for what waits, too") {
  Bench b({.worker_batches = 100});
  for (const auto* id : {"a1", "a2", "a3"}) b.offer(id, "a", 1, Duration::max(), Rate{0.001, 1});
  CHECK(b.start() == "a1");
  b.core.adjust("unknown", {5, 1}, 1, b.now);
  b.core.adjust("a", {1000, 10}, 2, b.now);
  CHECK(b.core.wake() == b.now + milliseconds(1));
  CHECK(b.pass(milliseconds(5)) == "a2");
  b.report("a1", Verdict::done);
  CHECK(b.start() == "a3");
  CHECK(b.core.keys() == 1);
}

TEST_CASE("weights: a rate counts them, what exceeds the burst goes after a complete rest") {
  Bench b({.worker_batches = 100, .rate = {10, 4}});
  b.offer("a1", "a", 3);
  b.offer("a2", "a", 3);
  b.offer("a3", "a", 9);
  CHECK(b.start() == "a1");
  CHECK(b.pass(milliseconds(199)).empty());
  CHECK(b.pass(milliseconds(1)) == "a2");
  CHECK(b.pass(milliseconds(399)).empty());
  CHECK(b.pass(milliseconds(1)) == "a3");
  b.offer("a4", "a");
  CHECK(b.core.wake() == b.now + milliseconds(600));
}

TEST_CASE(
    "while a worker is idle nothing waits; then batches fill, and the oldest waits no longer than allowed") {
  Bench b({.workers = 2, .batch_items = 3, .batch_wait = milliseconds(5)});
  b.offer("a");
  CHECK(b.start() == "a");
  b.offer("b");
  CHECK(b.start() == "b");
  b.offer("c");
  b.offer("d");
  CHECK(b.start().empty());
  CHECK(b.core.wake() == b.now + milliseconds(5));
  b.offer("e");
  b.offer("f");
  CHECK(b.start() == "c d e");
  CHECK(b.pass(milliseconds(5)) == "f");
  b.offer("g");
  b.report("a", Verdict::done);
  CHECK(b.start().empty());  // each worker still has one
  b.report("c", Verdict::done);
  b.report("b", Verdict::done);
  CHECK(b.start() == "g");
}

TEST_CASE("a batch is of one key, and no heavier than allowed but for a single item") {
  Bench b({.batch_items = 4});
  b.offer("x1", "x");
  CHECK(b.start() == "x1");
  b.offer("x2", "x", 3);
  b.offer("y1", "y", 9);
  b.offer("x3", "x", 1);
  b.offer("x4", "x", 1);
  std::string order;
  for (std::string first = "x1"; !first.empty();) {
    b.report(first, Verdict::done);
    const auto next = b.start();
    order += "|" + next;
    first = next.substr(0, 2);
  }
  CHECK(order == "|x2 x3|y1|x4|");
}

TEST_CASE("without batch_wait, a batch waits until a worker has room") {
  Bench b({.worker_batches = 2, .max_key_batches = 1});
  b.offer("a1", "a");
  b.offer("a2", "a");
  b.offer("b1", "b");
  CHECK(b.start() == "a1|b1");
  CHECK(b.core.wake() == SteadyTime::max());
  b.report("b1", Verdict::done);
  CHECK(b.start().empty());  // one batch of a key at once
  b.report("a1", Verdict::done);
  CHECK(b.start() == "a2");
}

TEST_CASE("a repeat of what is queued or in flight is named, what was answered may come again") {
  Bench b({});
  b.offer("a");
  CHECK((b.offer("a") == Admission::duplicate));
  b.start();
  CHECK((b.offer("a", "other") == Admission::duplicate));
  b.report("a", Verdict::done);
  CHECK((b.offer("a") == Admission::accepted));
  CHECK((b.offer("") == Admission::accepted));
  CHECK((b.offer("") == Admission::accepted));
}

TEST_CASE("what is held is bounded, by weight, in all and by key") {
  Bench b({.worker_batches = 100, .max_queue = 10, .max_key_queue = 6});
  CHECK((b.offer("a1", "a", 5) == Admission::accepted));
  CHECK((b.offer("a2", "a", 2) == Admission::full));
  CHECK((b.offer("a3", "a", 1) == Admission::accepted));
  CHECK((b.offer("b1", "b", 5) == Admission::full));
  CHECK((b.offer("b2", "b", 4) == Admission::accepted));
  CHECK((b.offer("c1", "c") == Admission::full));
  b.start();  // in flight counts
  CHECK((b.offer("c1", "c") == Admission::full));
  b.report("a3", Verdict::done);
  CHECK((b.offer("c1", "c") == Admission::accepted));
  CHECK(b.core.weight() == 10);
  CHECK((b.offer("heavy", "h", 11) == Admission::full));
}

TEST_CASE("an item that is not started in time expires, at that time") {
  Bench b({.max_stay = seconds(2)});
  b.offer("a", "k", 1, seconds(9));
  CHECK(b.start() == "a");
  b.offer("b", "k", 1, seconds(1));
  b.offer("c", "k", 1, seconds(9));
  b.offer("d", "k", 1, Duration{});
  CHECK((b.answer("d").ending == Ending::expired));
  CHECK(b.core.wake() == b.now + seconds(1));
  b.pass(seconds(1));
  CHECK((b.answer("b").ending == Ending::expired));
  b.pass(seconds(1));
  CHECK((b.answer("c").ending == Ending::expired));
  CHECK_FALSE(b.answered("a"));  // it is under way
}

TEST_CASE("retries: so many attempts, later each time by full jitter, not past the deadline") {
  const Policy policy{.attempts = 4, .backoff = milliseconds(100), .max_backoff = milliseconds(300)};
  const Duration window[] = {milliseconds(100), milliseconds(200), milliseconds(300)};
  Duration sum[3] = {}, most[3] = {};
  constexpr int kRounds = 2'000;
  for (std::uint64_t seed = 0; seed < kRounds; ++seed) {
    Bench b(policy, seed);
    b.offer("a");
    b.start();
    for (int retry = 0; retry < 3; ++retry) {
      b.report("a", Verdict::retry);
      const auto waits = b.core.wake() - b.now;
      CHECK(waits >= Duration{});
      sum[retry] += waits;
      most[retry] = std::max(most[retry], waits);
      CHECK(b.pass(waits) == "a");
    }
    b.report("a", Verdict::retry);
    CHECK((b.answer("a").ending == Ending::failed));
    CHECK(b.answer("a").attempts == 4);
  }
  for (int retry = 0; retry < 3; ++retry) {
    CHECK(most[retry] <= window[retry]);
    CHECK(most[retry] > window[retry] * 98 / 100);
    CHECK(sum[retry] / kRounds > window[retry] * 46 / 100);  // the mean's deviation is 0.65 %
    CHECK(sum[retry] / kRounds < window[retry] * 54 / 100);
  }
  Bench b(policy);
  b.offer("a", "k", 1, milliseconds(50));
  b.start();
  b.report("a", Verdict::retry, milliseconds(50));
  CHECK((b.answer("a").ending == Ending::expired));
}

TEST_CASE("one that waits for its next attempt holds up nobody, then has its old place") {
  Bench b({.attempts = 2, .backoff = Duration{}, .max_hold = seconds(1)});
  b.offer("a1", "a");
  b.offer("a2", "a");
  b.offer("a3", "a");
  CHECK(b.start() == "a1");
  b.report("a1", Verdict::retry);
  CHECK(b.start() == "a1");
  b.report("a1", Verdict::done);
  CHECK(b.start() == "a2");
}

TEST_CASE("a Retry-After holds its key, believed up to a limit, and is no failure to the breaker") {
  Bench b({.worker_batches = 9,
           .attempts = 9,
           .backoff = Duration{},
           .max_hold = seconds(30),
           .breaker_failures = 1});
  b.offer("a1", "a");
  b.offer("a2", "a");
  CHECK(b.start() == "a1|a2");
  b.report("a1", Verdict::retry, seconds(2));
  b.report("a2", Verdict::done);
  b.offer("a3", "a");
  b.offer("b1", "b");
  CHECK(b.start() == "b1");
  CHECK((b.core.breaker("a") == Breaker::closed));
  CHECK(b.core.wake() == b.now + seconds(2));
  CHECK(b.pass(seconds(2)) == "a1|a3");
  b.report("a1", Verdict::unknown, std::chrono::hours(9));
  CHECK((b.answer("a1").ending == Ending::unknown));
  b.report("a3", Verdict::retry, std::chrono::hours(9));
  CHECK(b.pass(seconds(30)) == "a3");
}

TEST_CASE("unknown outcomes: once there was one, only done is believed") {
  Bench b({.attempts = 3, .backoff = Duration{}, .retry_unknown = true});
  struct Row {
    Verdict first, second, third;
    Ending ending;
    std::uint32_t unknown;
  };
  const Row rows[] = {
      {Verdict::unknown, Verdict::done, Verdict::done, Ending::done, 1},
      {Verdict::unknown, Verdict::failed, Verdict::done, Ending::unknown, 1},
      {Verdict::unknown, Verdict::retry, Verdict::retry, Ending::unknown, 1},
      {Verdict::retry, Verdict::retry, Verdict::unknown, Ending::unknown, 1},
      {Verdict::unknown, Verdict::unknown, Verdict::unknown, Ending::unknown, 3},
      {Verdict::retry, Verdict::retry, Verdict::failed, Ending::failed, 0},
  };
  int round = 0;
  for (const auto& row : rows) {
    const auto name = "i" + std::to_string(++round);
    b.offer(name);
    for (const auto verdict : {row.first, row.second, row.third}) {
      if (b.pass(Duration{}) != name) break;
      b.report(name, verdict);
    }
    CAPTURE(round);
    CHECK((b.answer(name).ending == row.ending));
    CHECK(b.answer(name).unknown == row.unknown);
  }
}

TEST_CASE("a breaker opens, its items wait, one is tried after each pause, and it closes") {
  Bench b({.worker_batches = 9,
           .attempts = 100,
           .backoff = Duration{},
           .breaker_failures = 3,
           .breaker_pause = seconds(10)});
  for (int i = 1; i <= 4; ++i) b.offer("a" + std::to_string(i), "a");
  CHECK(b.start() == "a1|a2|a3|a4");
  b.report("a1", Verdict::retry);
  b.report("a2", Verdict::unknown);  // counts as well, and is not tried again here
  b.report("a3", Verdict::retry);
  CHECK((b.core.breaker("a") == Breaker::open));
  CHECK(b.core.open_breakers() == 1);
  b.offer("a5", "a");
  b.offer("b1", "b");
  CHECK(b.start() == "b1");
  b.report("a4", Verdict::done);  // from before: says nothing of now
  CHECK(b.pass(seconds(9)).empty());
  CHECK(b.pass(seconds(1)) == "a1");
  CHECK((b.core.breaker("a") == Breaker::half_open));
  b.report("a1", Verdict::retry);
  CHECK((b.core.breaker("a") == Breaker::open));
  CHECK(b.core.opened() == 2);
  CHECK(b.pass(seconds(10)) == "a1");
  b.report("a1", Verdict::retry, seconds(3));  // asked for patience: still half open
  CHECK((b.core.breaker("a") == Breaker::half_open));
  CHECK(b.pass(seconds(3)) == "a1");
  b.report("a1", Verdict::failed);  // a refusal is a sign of life
  CHECK((b.core.breaker("a") == Breaker::closed));
  CHECK(b.start() == "a3|a5");
  CHECK(b.core.open_breakers() == 0);
}

TEST_CASE("while a breaker is open, deadlines pass") {
  Bench b({.breaker_failures = 1, .breaker_pause = seconds(10)});
  b.offer("a1", "a");
  b.start();
  b.report("a1", Verdict::retry);
  b.offer("a2", "a", 1, seconds(4));
  CHECK(b.start().empty());
  b.pass(seconds(4));
  CHECK((b.answer("a2").ending == Ending::expired));
  CHECK(b.answer("a2").attempts == 0);
  CHECK(b.core.keys() == 1);
  b.pass(seconds(16));
  CHECK(b.core.keys() == 0);  // forgotten, a pause after it could have been tried
}

TEST_CASE("an attempt that nobody reports ends as unknown; so does what was with a worker that died") {
  Bench b({.workers = 2, .max_attempt = seconds(5)});
  b.offer("a");
  b.offer("b");
  CHECK(b.start() == "a|b");
  b.offer("c");
  b.core.lost(0, b.now);
  CHECK((b.answer("a").ending == Ending::unknown));
  CHECK(b.start() == "c");
  CHECK_FALSE(b.answered("b"));
  b.pass(seconds(5));
  CHECK((b.answer("b").ending == Ending::unknown));
  b.report("b", Verdict::done);  // too late
  CHECK(b.core.in_flight() == 0);
}

TEST_CASE("a drain gives back what waits, and what would be tried again") {
  Bench b({.worker_batches = 2, .attempts = 5});
  for (const auto* id : {"a", "b", "c"}) b.offer(id);
  CHECK(b.start() == "a|b");
  b.core.drain(b.now);
  CHECK((b.offer("d") == Admission::draining));
  CHECK((b.answer("c").ending == Ending::given_back));
  b.report("a", Verdict::done);
  b.report("b", Verdict::retry);
  CHECK((b.answer("a").ending == Ending::done));
  CHECK((b.answer("b").ending == Ending::given_back));
  CHECK(b.answer("b").attempts == 1);
  CHECK(b.core.wake() == SteadyTime::max());
}

}  // namespace cx::pool
