#include <doctest/doctest.h>

#include "tests/runtime/entity/harness.hpp"

namespace cx::test {
namespace {

struct Fixture : World {
  Fixture() { REQUIRE_FALSE(start()); }
  const std::string alarm = entity("alarm", 0);

  void set(const std::string& name, std::int64_t in, std::uint32_t times = 1, std::uint32_t repeat_ms = 0) {
    tell(alarm, make_alarm(name, now() + in, times, repeat_ms));
  }
  AlarmState state(const std::string& address) {
    AlarmState found;
    found.ParseFromString(inspect(address)->state());
    return found;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a reminder rings on time, once") {
  set("a", 1'000);
  advance(980);
  CHECK(rings(alarm) == 0);
  advance(60);
  CHECK(rings(alarm) == 1);
  CHECK(state(alarm).latest_late_ms() <= 60);
  advance(100'000);
  CHECK(rings(alarm) == 1);
  CHECK(rows(Table::reminders) == 0);
  CHECK(inspect(alarm)->reminders_size() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a reminder that came due while the node was down rings once, late") {
  const int times = 3;
  for (int i = 0; i < times; ++i) set("a" + std::to_string(i), 1'000 * (i + 1));
  SUBCASE("after a crash") {
    crash();
  }
  SUBCASE("after a stop") {
    CHECK(stop());
  }
  SUBCASE("after a power loss") {
    lose_power();
  }
  environment.set_clock().advance(86'400'000);
  REQUIRE_FALSE(start());
  advance(1'000);
  CHECK(rings(alarm) == times);
  CHECK(state(alarm).latest_late_ms() > 86'000'000);
  restart();
  advance(1'000);
  CHECK(rings(alarm) == times);
}

TEST_CASE_FIXTURE(Fixture, "a reminder is replaced by one of the same name, and can be cancelled") {
  set("later", 1'000);
  set("later", 5'000);
  set("sooner", 5'000);
  set("sooner", 1'000);
  set("never", 1'000);
  set("same", 1'000);
  set("same", 1'000);
  tell(alarm, make_cancel("never"));
  tell(alarm, make_cancel("unknown"));
  CHECK(rows(Table::reminders) == 3);
  SUBCASE("at once") {}
  SUBCASE("also after a restart") {
    restart();
  }
  advance(1'100);
  CHECK(state(alarm).rang().at("sooner") == 1);
  CHECK(state(alarm).rang().at("same") == 1);
  CHECK(state(alarm).total() == 2);
  advance(5'000);
  CHECK(state(alarm).rang().at("later") == 1);
  CHECK(state(alarm).total() == 3);
  CHECK(rows(Table::reminders) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a reminder may set itself again") {
  set("a", 1'000, 5, 200);
  advance(1'300);
  CHECK(rings(alarm) == 2);
  restart();
  advance(2'000);
  CHECK(rings(alarm) == 5);
  CHECK(state(alarm).latest_late_ms() <= 60);
  CHECK(rows(Table::reminders) == 0);
}

TEST_CASE_FIXTURE(Fixture, "reminders wake who sleeps") {
  options_.host.idle_ms = 1'000;
  restart();
  for (unsigned n = 0; n < 50; ++n) tell(entity("alarm", n), make_alarm("a", now() + 10'000 + n));
  advance(5'000);
  CHECK(resident() == 0);
  advance(5'300);
  for (unsigned n = 0; n < 50; ++n) CHECK(rings(entity("alarm", n)) == 1);
}

TEST_CASE_FIXTURE(Fixture, "waiting reminders cost a row each, and no memory") {
  options_.shards = {3};
  options_.host.idle_ms = 1'000;
  options_.host.max_resident = 100;
  restart();
  const auto due = now() + 3'600'000;
  std::vector<Reply> replies;
  constexpr unsigned kAlarms = 300, kEach = 100;
  for (unsigned n = 0; n < kAlarms; ++n) {
    for (unsigned i = 0; i < kEach; ++i) {
      replies.push_back(send(entity("alarm", n), make_alarm(std::to_string(i), due + i % 100)));
      if (i % 100 == 99) run();
    }
  }
  for (const auto& reply : replies) REQUIRE((*reply && **reply));
  CHECK(rows(Table::reminders) == kAlarms * kEach);
  advance(5'000);
  CHECK(resident() == 0);
  restart();
  environment.set_clock().set(due - 1'000);
  advance(500);
  CHECK(rows(Table::reminders) == kAlarms * kEach);
  advance(20'000);
  CHECK(rows(Table::reminders) == 0);
  for (unsigned n = 0; n < kAlarms; ++n) REQUIRE(rings(entity("alarm", n)) == kEach);
}

TEST_CASE_FIXTURE(Fixture, "a reminder whose command is refused ends as a dead letter, with what it was") {
  tell(alarm, make_alarm("broken", now() + 1'000, 666));
  tell(alarm, make_alarm("whole", now() + 2'000));
  advance(5'000);
  CHECK(rings(alarm) == 1);
  CHECK(rows(Table::reminders) == 0);
  const auto dead = dead_letters();
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].from() == alarm);
  CHECK(dead[0].message().to() == alarm);
  CHECK(dead[0].message().command().type() == "cx.test.Ring");
  Ring ring;
  CHECK(ring.ParseFromString(dead[0].message().command().bytes()));
  CHECK(ring.name() == "broken");
  CHECK(dead[0].reason() == "broken-bell");
  CHECK(dead[0].attempts() == 1);
  CHECK(inspect(alarm)->reminders_size() == 0);

  SUBCASE("that can be forgotten") {
    CHECK_FALSE(resolve(dead[0], false));
    CHECK(dead_letters().empty());
    advance(10'000);
    CHECK(dead_letters().empty());
  }
  SUBCASE("that can be sent again, and dies again") {
    CHECK_FALSE(resolve(dead[0], true));
    advance(10'000);
    REQUIRE(dead_letters().size() == 1);
    CHECK(dead_letters()[0].id() != dead[0].id());
    CHECK(dead_letters()[0].message().command().bytes() == dead[0].message().command().bytes());
  }
  restart();
  advance(2'000);
  CHECK(rings(alarm) == 1);
}

TEST_CASE_FIXTURE(Fixture, "a reminder that finds its entity busy is not lost") {
  options_.host.entity_credit = 4;
  restart();
  for (int i = 0; i < 20; ++i) set("a" + std::to_string(i), 1'000 + i % 2);
  advance(30'000);
  CHECK(rings(alarm) == 20);
  CHECK(dead_letters().empty());
}

}  // namespace cx::test
