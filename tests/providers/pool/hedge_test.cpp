#include <doctest/doctest.h>
#include <string>

#include "providers/pool/core.hpp"

// How the time that batches take changes what a core does: hedges, smaller batches, deadlines, cold workers.

namespace cx::pool {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Bench {
  explicit Bench(const Policy& policy) : core(policy, Random(1)) {}

  Ticket offer(std::uint32_t weight = 1, Duration lives = seconds(100)) {
    const auto offered = core.offer({"", "k", weight, now + lives}, now);
    REQUIRE((offered.admission == Admission::accepted));
    return offered.ticket;
  }
  bool start() { return core.dispatch(now, batch); }
  bool finish(const Batch& of, Verdict verdict = Verdict::done) {
    return core.finished(of.id, std::vector<Report>(of.members.size(), {verdict}), now);
  }
  /// So many batches of a weight that each take so long, one after the other.
  void serve(int batches, Duration each, std::uint32_t weight = 1) {
    for (int i = 0; i < batches; ++i) {
      offer(weight);
      REQUIRE(start());
      now += each;
      REQUIRE(finish(batch));
    }
    core.take_answers(answers);
  }
  std::vector<Answer> taken() {
    core.take_answers(answers);
    return answers;
  }

  SteadyTime now{std::chrono::hours(1)};
  Core core;
  Batch batch;
  std::vector<Answer> answers;
};

}  // namespace

TEST_CASE("a batch that takes long goes to an idle worker, too, and the first answer counts") {
  for (const bool second_wins : {false, true}) {
    CAPTURE(second_wins);
    Bench b({.workers = 2, .hedge_every = 50});
    b.serve(100, milliseconds(10));
    const auto ticket = b.offer();
    REQUIRE(b.start());
    const auto first = b.batch;
    CHECK_FALSE(first.hedge);
    const auto late = b.core.wake() - b.now;
    CHECK(late >= milliseconds(10));
    CHECK(late <= microseconds(11'250));
    b.now += late - Duration(1);
    CHECK_FALSE(b.start());
    b.now += Duration(1);
    REQUIRE(b.start());
    const auto second = b.batch;
    CHECK(second.hedge);
    CHECK(second.worker != first.worker);
    REQUIRE(second.members.size() == 1);
    CHECK(second.members[0].ticket == ticket);
    CHECK(second.members[0].attempt == 1);
    CHECK_FALSE(b.start());
    CHECK(b.finish(second_wins ? second : first));
    const auto answers = b.taken();
    REQUIRE(answers.size() == 1);
    CHECK((answers[0].ending == Ending::done));
    CHECK(answers[0].attempts == 1);
    CHECK(b.core.members((second_wins ? first : second).id).empty());
    // The other one still keeps its worker busy.
    b.offer();
    CHECK(b.start());
    b.offer();
    CHECK_FALSE(b.start());
    CHECK_FALSE(b.finish(second_wins ? first : second));
    CHECK(b.start());
    CHECK(b.core.hedges() == 1);
    CHECK(b.core.hedges_won() == (second_wins ? 1 : 0));
  }
}

TEST_CASE("of a batch and its hedge, one that fails leaves it to the other") {
  for (const bool second_fails : {false, true})
    for (const bool dies : {false, true}) {
      CAPTURE(second_fails);
      CAPTURE(dies);
      Bench b({.workers = 2, .hedge_every = 50});
      b.serve(100, milliseconds(10));
      b.offer();
      REQUIRE(b.start());
      const auto first = b.batch;
      b.now = b.core.wake();
      REQUIRE(b.start());
      const auto second = b.batch;
      const auto& worse = second_fails ? second : first;
      if (dies)
        b.core.lost(worse.worker, b.now);
      else
        CHECK(b.finish(worse, Verdict::unknown));
      CHECK(b.taken().empty());
      CHECK(b.core.in_flight() == 1);
      b.finish(second_fails ? first : second, Verdict::unknown);
      REQUIRE(b.taken().size() == 1);
      CHECK((b.answers[0].ending == Ending::unknown));
      CHECK(b.core.in_flight() == 0);
      b.offer();
      CHECK(b.start());
      b.offer();
      CHECK(b.start());
    }
}

TEST_CASE("hedges stay within their share, need an idle worker, and are not saved up for ever") {
  Bench b({.workers = 3, .hedge_every = 50});
  b.serve(98, milliseconds(10));
  const auto hang = [&b] {
    b.offer();
    REQUIRE(b.start());
    const auto first = b.batch;
    b.now += milliseconds(20);
    const bool hedged = b.start();
    b.finish(b.batch);
    if (hedged) b.finish(first);
    return hedged;
  };
  CHECK_FALSE(hang());  // 98 are too few to know what is long
  b.serve(1, milliseconds(10));
  CHECK(hang());  // the 101st; 50 of them are spent
  CHECK(hang());  // the 102nd
  CHECK_FALSE(hang());
  b.serve(45, milliseconds(10));
  CHECK_FALSE(hang());  // 49 since then
  CHECK(hang());
  b.serve(100'000, milliseconds(10));
  int made = 0;
  for (int i = 0; i < 40; ++i) made += hang() ? 1 : 0;
  CHECK(made == 10);

  Bench busy({.workers = 1, .hedge_every = 1});
  busy.serve(200, milliseconds(10));
  busy.offer();
  CHECK(busy.start());
  CHECK(busy.core.wake() > busy.now + seconds(1));  // there is nobody to hedge with
}

TEST_CASE("batches are as large as fits into their time, as far as size is what makes them slow") {
  Bench b({.batch_items = 16, .batch_time = milliseconds(5)});
  const auto serve_all = [&b](Duration fixed, Duration each, int rounds) {
    for (int i = 0; i < rounds; ++i)
      for (std::uint32_t weight = 1; weight <= b.core.batch_limit(); weight += 2)
        b.serve(1, fixed + each * weight, weight);
  };
  CHECK(b.core.batch_limit() == 16);
  serve_all(microseconds(200), microseconds(10), 10);
  CHECK(b.core.batch_limit() == 16);
  serve_all(microseconds(500), milliseconds(1), 2'000);
  CHECK(b.core.batch_limit() == 4);
  for (int i = 0; i < 9; ++i) b.offer();
  REQUIRE(b.start());
  CHECK(b.batch.members.size() == 4);
  b.finish(b.batch);
  serve_all(milliseconds(30), microseconds(1), 2'000);  // a slow receiver is no reason for small batches
  CHECK(b.core.batch_limit() == 16);
  serve_all(milliseconds(1), milliseconds(9), 2'000);  // not even one fits
  CHECK(b.core.batch_limit() == 1);
  serve_all(microseconds(100), microseconds(10), 2'000);  // it is quick again
  CHECK(b.core.batch_limit() == 16);
  CHECK(b.core.busy() > seconds(1));
}

TEST_CASE("a deadline sends a batch off before its wait is over, if that is of use") {
  Bench b({.workers = 1, .batch_items = 16, .batch_wait = milliseconds(8)});
  b.serve(100, milliseconds(4));  // 95 % take no longer than 4 ms, and a little
  b.offer();
  REQUIRE(b.start());
  b.offer();
  CHECK(b.core.wake() == b.now + milliseconds(8));
  b.offer(1, milliseconds(10));
  const auto goes = b.core.wake() - b.now;
  CHECK(goes <= milliseconds(6));
  CHECK(goes >= microseconds(5'500));
  b.now += goes;
  REQUIRE(b.start());
  CHECK(b.batch.members.size() == 2);
  b.offer(1, milliseconds(2));  // is lost already, and not worth a batch of its own
  CHECK_FALSE(b.start());
  CHECK(b.core.wake() == b.now + milliseconds(2));
  b.now += milliseconds(2);
  CHECK_FALSE(b.start());
  CHECK((b.taken().back().ending == Ending::expired));
}

TEST_CASE("a cold worker gets nothing while another is warm, and the bound of the wait holds all the same") {
  Bench b({.workers = 2, .batch_items = 4, .batch_wait = milliseconds(1)});
  b.core.cold(0);
  b.offer();
  REQUIRE(b.start());
  CHECK(b.batch.worker == 1);
  b.offer();
  CHECK_FALSE(b.start());
  b.core.warm(0);
  REQUIRE(b.start());
  CHECK(b.batch.worker == 0);
  b.core.cold(0);
  b.core.cold(1);
  b.offer();
  CHECK_FALSE(b.start());
  b.now += milliseconds(1);
  CHECK(b.start());
}

TEST_CASE("a drain that serves starts what waits, and takes nothing") {
  Bench b({.workers = 1, .batch_items = 2, .attempts = 3});
  for (int i = 0; i < 5; ++i) b.offer();
  REQUIRE(b.start());
  b.core.drain(b.now, true);
  CHECK((b.core.offer({"", "k"}, b.now).admission == Admission::draining));
  std::size_t done = 0;
  do {
    b.finish(b.batch);
    done += b.taken().size();
  } while (b.start());
  CHECK(done == 5);
  for (const auto& answer : b.answers) CHECK((answer.ending == Ending::done));
}

}  // namespace cx::pool
