#include "actors/access/login.hpp"

#include <doctest/doctest.h>
#include <google/protobuf/util/time_util.h>
#include <map>
#include <rapidcheck.h>

#include "runtime/entity/kind_of.hpp"

namespace cx {
namespace {

using google::protobuf::util::TimeUtil;
constexpr std::int64_t kNow = 1'700'000'000'000;
constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kDay = 24 * 60 * kMinute;

std::string hash(int n) {
  std::string bytes = std::to_string(n);
  bytes.insert(0, 8 - bytes.size(), '0');
  return bytes + std::string(24, '#');
}

struct Driver {
  Login::State state;
  std::int64_t now = kNow;

  template <class Command>
  auto run(const Command& command) {
    Context context;
    context.now = now;
    auto outcome = Login::handle(state, command, context);
    for (const auto& event : outcome.events) {
      // Through bytes, as the journal has them.
      Login::Event read;
      REQUIRE(read.ParseFromString(serialize(event)));
      Login::apply(state, read);
    }
    return outcome.reply;
  }
  bool attempt() { return run(v1::ReserveAttempt()).allowed(); }
  v1::SessionOpened open(const std::string& name, int secret = 1, bool by_password = true) {
    v1::OpenSession command;
    command.set_session(name);
    command.set_provider("password");
    command.set_refresh_sha256(hash(secret));
    command.set_by_password(by_password);
    return run(command);
  }
  v1::SessionRotated::Outcome rotate(const std::string& name, int secret, int next) {
    v1::RotateSession command;
    command.set_session(name);
    command.set_refresh_sha256(hash(secret));
    command.set_next_sha256(hash(next));
    return run(command).outcome();
  }
  std::vector<std::string> end(const std::string& name) {
    v1::EndSessions command;
    command.set_session(name);
    const auto reply = run(command);
    return {reply.sessions().begin(), reply.sessions().end()};
  }
};

}  // namespace

TEST_CASE("five attempts lock a user, longer each time, up to a day; a lock is not prolonged by attempts") {
  Driver d;
  const std::int64_t minutes[] = {15, 30, 60, 120, 240, 480, 960, 1440, 1440};
  for (const auto length : minutes) {
    CAPTURE(length);
    for (int i = 0; i < 5; ++i) CHECK(d.attempt());
    CHECK_FALSE(d.attempt());
    d.now += length * kMinute - 1;
    CHECK_FALSE(d.attempt());
    d.now += 1;
  }
  CHECK(d.attempt());
  d.now += 7 * kDay;
  for (int i = 0; i < 5; ++i) CHECK(d.attempt());
  d.now += 15 * kMinute;
  CHECK(d.attempt());
}

TEST_CASE("a session by password forgets failed attempts, one by another door does not; so does an unlock") {
  Driver d;
  for (int i = 0; i < 4; ++i) CHECK(d.attempt());
  d.open("a", 1, false);
  CHECK(d.attempt());
  CHECK_FALSE(d.attempt());
  d.open("b");  // the fifth, which was under way, succeeds
  for (int i = 0; i < 5; ++i) CHECK(d.attempt());
  CHECK_FALSE(d.attempt());
  d.run(v1::UnlockLogin());
  CHECK(d.attempt());
}

TEST_CASE("a refresh secret is good once; using one again ends the session, a guess does not") {
  Driver d;
  d.open("a", 0);
  CHECK(d.rotate("a", 99, 100) == v1::SessionRotated::UNKNOWN);
  CHECK(d.rotate("b", 0, 100) == v1::SessionRotated::UNKNOWN);
  for (int i = 0; i < 200; ++i) CHECK(d.rotate("a", i, i + 1) == v1::SessionRotated::ROTATED);
  CHECK(d.state.sessions(0).used_sha256_size() == Login::kUsed);
  CHECK(d.rotate("a", 200 - Login::kUsed - 1, 300) == v1::SessionRotated::UNKNOWN);
  CHECK(d.rotate("a", 200 - Login::kUsed, 300) == v1::SessionRotated::REUSED);
  CHECK(d.rotate("a", 200, 201) == v1::SessionRotated::UNKNOWN);
  CHECK(d.state.sessions_size() == 0);
}

TEST_CASE("a session ends when it was idle for 14 days, and after 90 in any case") {
  Driver d;
  d.open("a", 0);
  d.now += 14 * kDay;
  CHECK(d.rotate("a", 0, 1) == v1::SessionRotated::UNKNOWN);
  CHECK(d.state.sessions_size() == 0);

  CHECK(TimeUtil::TimestampToMilliseconds(d.open("b", 0).expires_at()) == d.now + 90 * kDay);
  for (int day = 0; day < 80; day += 10) {
    d.now += 10 * kDay;
    CHECK(d.rotate("b", day / 10, day / 10 + 1) == v1::SessionRotated::ROTATED);
  }
  d.now += 10 * kDay - 1;
  CHECK(d.rotate("b", 8, 9) == v1::SessionRotated::ROTATED);
  d.now += 1;
  CHECK(d.rotate("b", 9, 10) == v1::SessionRotated::UNKNOWN);
}

TEST_CASE("the least recently used session makes room; those that are over anyway are not named") {
  Driver d;
  d.open("stale");
  d.now += 14 * kDay;
  for (int i = 0; i < 50; ++i) CHECK(d.open("s" + std::to_string(i), 0).ended_size() == 0);
  CHECK(d.rotate("s0", 0, 1) == v1::SessionRotated::ROTATED);
  const auto opened = d.open("one-more");
  REQUIRE(opened.ended_size() == 1);
  CHECK(opened.ended(0) == "s1");
  CHECK(d.state.sessions_size() == 50);
  CHECK(d.end("s0") == std::vector<std::string>{"s0"});
  CHECK(d.end("s0").empty());
  CHECK(d.end("").size() == 49);
  CHECK(d.state.sessions_size() == 0);
}

TEST_CASE("property: whatever happens at once, at most five passwords are checked between two locks") {
  rc::check([] {
    Driver d;
    // Oracle: what a guesser who never succeeds got through, by the time of the lock it ran into.
    std::vector<std::int64_t> allowed;
    const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 40));
    for (const int step : steps) {
      d.now += step < 30 ? step : (step - 29) * 10 * kMinute;
      if (d.attempt()) allowed.push_back(d.now);
    }
    for (std::size_t i = 5; i < allowed.size(); ++i)
      RC_ASSERT(allowed[i] - allowed[i - 5] >= 15 * kMinute || allowed[i] - allowed[i - 1] >= 15 * kMinute);
    std::size_t in_a_day = 0;
    for (const auto at : allowed) in_a_day += at < kNow + kDay ? 1U : 0U;
    RC_ASSERT(in_a_day <= 35U);  // 15, 30, 60, 120, 240, 480, 960 minutes are more than a day
    RC_ASSERT(d.state.attempts() < 5U);
  });
}

TEST_CASE("property: a session lives exactly as a model of it says, and the state stays small") {
  rc::check([] {
    Driver d;
    std::map<std::string, int> live;  // its good secret
    int last = 0;
    const auto n = *rc::gen::inRange(0, 200);
    for (int i = 0; i < n; ++i) {
      const auto name = "s" + std::to_string(*rc::gen::inRange(0, 60));
      const auto what = *rc::gen::inRange(0, 10);
      d.now += 1000;
      if (what < 5) {
        if (live.contains(name)) continue;
        for (const auto& gone : d.open(name, ++last).ended()) live.erase(gone);
        live[name] = last;
      } else if (what < 8) {
        const auto outcome = d.rotate(name, live.contains(name) ? live[name] : 0, last + 1);
        RC_ASSERT((outcome == v1::SessionRotated::ROTATED) == live.contains(name));
        if (live.contains(name)) live[name] = ++last;
      } else if (what < 9) {
        const auto outcome = d.rotate(name, live.contains(name) ? live[name] + 1000 : 0, last + 1);
        RC_ASSERT(outcome == v1::SessionRotated::UNKNOWN);
      } else {
        RC_ASSERT(d.end(name).size() == live.erase(name));
      }
      RC_ASSERT(d.state.sessions_size() == static_cast<int>(live.size()));
    }
    RC_ASSERT(d.state.ByteSizeLong() < 50U * 900U);
  });
}

}  // namespace cx
