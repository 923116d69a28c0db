#include <array>
#include <cmath>

#include "actors/journey/walk.hpp"
#include "drive.hpp"

namespace cx::test {
namespace {

using journey::InstanceEntity;
using Out = InstanceEntity::Out;

constexpr const char* kSteps = R"({
  "trigger": {"event": {"name": "Go"}},
  "exit_on": [{"name": "Stop"}],
  "steps": [
    {"id": "first", "send": {"channel": "CHANNEL_EMAIL", "via": "main", "template": "a"}},
    {"id": "event", "wait": {"until": {"event": {"name": "Seen", "where": {"field": "event.properties.n", "above": 1}},
                                       "timeout": "3600s", "on_timeout": "late", "remember_as": "seen"}}},
    {"id": "judge", "decide": {"branches": [{"when": {"field": "memory.seen.n", "at_least": 10}, "next": "late"}]}},
    {"id": "second", "send": {"channel": "CHANNEL_EMAIL", "via": "main", "template": "b"}, "next": "end"},
    {"id": "late", "send": {"channel": "CHANNEL_EMAIL", "via": "main", "template": "c"}},
    {"id": "end", "exit": {}}
  ]})";

struct Running : Drive {
  Running() {
    book.add("j", kSteps);
    consent("u");
    track("u", "Go");
  }
  const v1::InstanceState& state() const { return instance("j:u"); }
};

TEST_CASE("a wait for an event ends with one that matches, or in time") {
  Running one;
  one.track("u", "Seen", R"({"n": 1})");  // does not match
  CHECK(one.state().status() == v1::RUN_STATUS_WAITING);
  one.track("u", "Seen", R"({"n": 2})");
  CHECK(one.sent == Lines{"u first +0", "u second +0"});
  CHECK(one.state().status() == v1::RUN_STATUS_COMPLETED);
  CHECK(!one.sandbox.next_due());  // the reminder is gone

  Running two;
  two.track("u", "Seen", R"({"n": 10})");
  CHECK(two.sent == Lines{"u first +0", "u late +0"});

  Running three;
  three.advance(kHour);
  CHECK(three.sent == Lines{"u first +0", "u late +1"});
  three.track("u", "Seen", R"({"n": 2})");  // nobody waits any more
  CHECK(three.sent.size() == 2);
}

TEST_CASE("what belongs to an older visit, or comes twice, changes nothing") {
  Running drive;
  const auto before = drive.state().SerializeAsString();
  v1::WakeRun wake;
  wake.set_visit(drive.state().visit() - 1);
  drive.tell("journey/acme/j:u", wake);
  wake.set_visit(drive.state().visit() + 1);
  drive.tell("journey/acme/j:u", wake);
  v1::StepDecided decided;
  decided.set_visit(drive.state().visit());
  drive.tell("journey/acme/j:u", decided);
  v1::StartRun start;
  start.set_journey("j");
  start.set_revision(1);
  start.set_run(1);
  drive.tell("journey/acme/j:u", start);
  drive.tell("journey/acme/j:u", v1::ReconsiderRun());
  CHECK(drive.state().SerializeAsString() == before);
  drive.advance(2 * kHour);
  for (const auto& command : {1, 2}) {
    drive.tell("journey/acme/j:u", wake);
    v1::RunEvent event;
    event.set_name("Stop");
    drive.tell("journey/acme/j:u", event);
    CHECK(command > 0);
  }
  CHECK(drive.state().status() == v1::RUN_STATUS_COMPLETED);
  CHECK(drive.sent.size() == 2);
}

TEST_CASE("paused, what is due is parked and happens once it goes on") {
  SUBCASE("a timeout") {
    Running drive;
    drive.stage("j", v1::JOURNEY_STAGE_PAUSED);
    drive.advance(5 * kHour);
    CHECK(drive.state().status() == v1::RUN_STATUS_PAUSED);
    CHECK(drive.state().parked().has_wake());
    drive.track("u", "Seen", R"({"n": 2})");  // too late: the wait was over
    drive.reconsider();
    CHECK(drive.sent.size() == 1);
    drive.stage("j", v1::JOURNEY_STAGE_ACTIVE);
    drive.reconsider();
    CHECK(drive.sent == Lines{"u first +0", "u late +5"});
    CHECK(drive.path("j:u").find("event paused; event resumed; event decided(timeout); late entered") !=
          std::string::npos);
  }
  SUBCASE("an event") {
    Running drive;
    drive.stage("j", v1::JOURNEY_STAGE_PAUSED);
    drive.track("u", "Seen", R"({"n": 2})");
    CHECK(drive.state().parked().has_event());
    drive.advance(5 * kHour);  // the timeout is no more
    drive.track("u", "Seen", R"({"n": 10})");
    drive.stage("j", v1::JOURNEY_STAGE_ACTIVE);
    CHECK(drive.sent == Lines{"u first +0", "u second +5"});
  }
  SUBCASE("an event that ends it") {
    Running drive;
    drive.stage("j", v1::JOURNEY_STAGE_PAUSED);
    drive.track("u", "Seen", R"({"n": 2})");
    drive.track("u", "Stop");
    CHECK(drive.state().status() == v1::RUN_STATUS_EXITED);
    drive.stage("j", v1::JOURNEY_STAGE_ACTIVE);
    CHECK(drive.sent.size() == 1);
  }
  SUBCASE("a start that was under way") {
    Drive drive;
    drive.book.add("j", kSteps);
    drive.consent("u");
    drive.book.journeys.at("j").stage = v1::JOURNEY_STAGE_PAUSED;
    v1::StartRun start;
    start.set_journey("j");
    start.set_revision(1);
    start.set_run(1);
    start.set_event(R"({"properties":{"a":1}})");
    start.set_caused_at(77);
    drive.tell("journey/acme/j:u", start);
    CHECK(drive.instance("j:u").parked().has_start());
    CHECK(drive.instance("j:u").event() == R"({"properties":{"a":1}})");
    CHECK(drive.sent.empty());
    drive.stage("j", v1::JOURNEY_STAGE_ACTIVE);
    CHECK(drive.sent == Lines{"u first +0"});
  }
  SUBCASE("and archived, it is left") {
    Running drive;
    drive.stage("j", v1::JOURNEY_STAGE_PAUSED);
    drive.advance(5 * kHour);
    drive.stage("j", v1::JOURNEY_STAGE_ARCHIVED);
    CHECK(drive.state().status() == v1::RUN_STATUS_EXITED);
    CHECK(drive.path("j:u").find("exited(archived)") != std::string::npos);
    CHECK(drive.sandbox.customer("u")->person().runs(0).ended() > 0);
  }
  SUBCASE("archived while it waits, it is left without a reminder behind") {
    Running drive;
    drive.stage("j", v1::JOURNEY_STAGE_ARCHIVED);
    CHECK(drive.state().status() == v1::RUN_STATUS_EXITED);
    CHECK(!drive.sandbox.next_due());
  }
  SUBCASE("completed, it goes on") {
    Running drive;
    drive.stage("j", v1::JOURNEY_STAGE_COMPLETED);
    drive.advance(kHour);
    CHECK(drive.sent == Lines{"u first +0", "u late +1"});
    drive.track("u", "Go");
    CHECK(drive.state().run() == 1);
  }
}

TEST_CASE("a revision that is not loaded is asked for again") {
  FakeBook empty;
  const InstanceEntity kind{&empty};
  v1::StartRun start;
  start.set_journey("j");
  start.set_revision(1);
  start.set_run(1);
  Context context;
  context.tenant = "acme";
  context.key = "j:u";
  context.self = "journey/acme/j:u";
  const auto out = kind.handle({}, start, context);
  REQUIRE(!out);
  CHECK(out.error().code == Code::unavailable);
  CHECK(out.error().type == "journey-not-loaded");
  CHECK(InstanceEntity{}.handle({}, start, context).error().code == Code::unavailable);
  CHECK(kind.handle({}, v1::GetRun(), context).error().type == "no-such-run");
}

TEST_CASE("its path as others see it") {
  Running drive;
  Context context;
  context.tenant = "acme";
  context.key = "j:u";
  const InstanceEntity kind{&drive.book};
  const auto waiting = kind.handle(drive.state(), v1::GetRun(), context);
  REQUIRE(waiting);
  CHECK(waiting->journey() == "j");
  CHECK(waiting->customer_id() == "u");
  CHECK(waiting->status() == v1::RUN_STATUS_WAITING);
  CHECK(waiting->step() == "event");
  CHECK(waiting->event() == "Seen");
  CHECK(waiting->until().seconds() == drive.start / 1000 + 3600);
  CHECK(waiting->entries_size() == drive.state().path_size());
  drive.track("u", "Seen", R"({"n": 2})");
  const auto over = kind.handle(drive.state(), v1::GetRun(), context);
  CHECK(!over->has_until());
  CHECK(over->event().empty());
  CHECK(over->memory().fields().at("seen").struct_value().fields().at("n").number_value() == 2);
}

TEST_CASE("an instance follows its customer") {
  CHECK(InstanceEntity::affinity("welcome:c-81f") == "c-81f");
  CHECK(InstanceEntity::affinity("cart@a.b:anonymous:7") == "anonymous:7");
  CHECK(InstanceEntity::affinity("nonsense") == "nonsense");
}

TEST_CASE("when what led to a message reached us is handed on; a timer has no cause") {
  Running drive;
  std::vector<std::int64_t> causes;
  drive.sandbox.on_sent = [&](const std::string&, const v1::RequestMessage& r) {
    causes.push_back(r.caused_at());
  };
  drive.advance(10 * kSecond);
  drive.track("u", "Seen", R"({"n": 2})");
  const auto at = drive.sandbox.now();
  drive.advance(kSecond);
  drive.track("u", "Go");
  drive.advance(kDay);
  CHECK(causes == std::vector<std::int64_t>{at * 1000, (at + kSecond) * 1000, 0});
}

TEST_CASE("message ids are the same for the same visit, and no other") {
  const auto id = journey::message_id("journey/acme/j:u", 1, 2);
  CHECK(id.size() == 34);
  CHECK(id.starts_with("m-"));
  CHECK(id == journey::message_id("journey/acme/j:u", 1, 2));
  CHECK(id != journey::message_id("journey/acme/j:u", 1, 3));
  CHECK(id != journey::message_id("journey/acme/j:u", 2, 2));
  CHECK(id != journey::message_id("journey/acme/j:u2", 1, 2));
  CHECK(journey::message_id("a", 1, 12) != journey::message_id("a", 11, 2));
}

TEST_CASE("what does not fit into the memory is not remembered, and said") {
  Drive drive;
  drive.book.add("j", R"({"trigger": {"event": {"name": "Go"}}, "steps": [
      {"id": "a", "remember": {"name": "a", "field": "event.properties.big"}},
      {"id": "b", "remember": {"name": "b", "field": "event.properties.big"}},
      {"id": "c", "remember": {"name": "c", "field": "event.properties.none"}},
      {"id": "d", "remember": {"name": "d", "value": {"x": [1, "two", null]}}},
      {"id": "end", "exit": {}}]})");
  drive.track("u", "Go", R"({"big": ")" + std::string(20'000, 'x') + R"("})");
  const auto memory = boost::json::parse(drive.instance("j:u").memory()).as_object();
  CHECK(memory.size() == 3);
  CHECK(memory.at("c").is_null());
  CHECK(boost::json::serialize(memory.at("d")) == R"({"x":[1,"two",null]})");
  CHECK(drive.path("j:u").find("b forgotten(the memory is full: b)") != std::string::npos);
}

TEST_CASE("the path keeps the last 200 notes, and a decision takes at most 200 steps") {
  std::string steps;
  for (int i = 0; i < 199; ++i)
    steps += (R"({"id": "s)" + std::to_string(i)) + R"(", "remember": {"name": "a", "value": )" +
             std::to_string(i) + "}}, ";
  Drive drive;
  drive.book.add(
      "j", R"({"trigger": {"event": {"name": "Go"}}, "steps": [)" + steps + R"({"id": "end", "exit": {}}]})");
  drive.track("u", "Go");
  CHECK(drive.instance("j:u").path_size() == 200);
  CHECK(drive.instance("j:u").status() == v1::RUN_STATUS_COMPLETED);
  CHECK(drive.path("j:u", 198) == "end entered; end completed(completed)");
}

TEST_CASE("a split sends its share each way, the same customers always, and splits are independent") {
  std::vector<journey::ReadyStep::Share> shares = {
      {50, 0}, {80, 1}, {80, 2}, {100, 3}};  // 50, 30, 0, 20 of 100
  constexpr int kCustomers = 100'000;
  std::array<int, 4> got{};
  std::array<std::array<int, 4>, 4> both{};
  for (int i = 0; i < kCustomers; ++i) {
    const auto who = "c-" + std::to_string(i);
    const auto one = journey::share_of(shares, "acme", "j", "one", who);
    const auto two = journey::share_of(shares, "acme", "j", "two", who);
    CHECK(one == journey::share_of(shares, "acme", "j", "one", who));
    ++got.at(one);
    ++both.at(one).at(two);
  }
  const std::array<double, 4> share = {0.5, 0.3, 0, 0.2};
  CHECK(got[2] == 0);
  double chi = 0, chi_both = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    if (share[i] == 0) continue;
    chi += std::pow(got[i] - kCustomers * share[i], 2) / (kCustomers * share[i]);
    for (std::size_t j = 0; j < 4; ++j)
      if (share[j] > 0)
        chi_both +=
            std::pow(both[i][j] - kCustomers * share[i] * share[j], 2) / (kCustomers * share[i] * share[j]);
  }
  CHECK(chi < 13.8);       // 2 degrees of freedom, p = 0.001
  CHECK(chi_both < 26.2);  // 8 degrees of freedom, p = 0.001
}

}  // namespace
}  // namespace cx::test
