#include <doctest/doctest.h>
#include <set>

#include "actors/journey/address.hpp"
#include "journeys.hpp"
#include "runtime/address.hpp"

namespace cx::test {
namespace {

using journey::Definition;
using journey::problems_of;

const std::string kSend = R"("send": {"channel": "CHANNEL_EMAIL", "via": "main", "template": "t"})";

/// A journey of these steps that an event starts.
std::string of_steps(const std::string& steps) {
  return R"({"trigger": {"event": {"name": "Signed Up"}}, "steps": [)" + steps + "]}";
}

std::string problems(const std::string& json) {
  std::string out;
  for (const auto& problem : problems_of(journey_of(json))) {
    CHECK(problem.detail().size() > 15);
    CHECK(problem.detail().back() == '.');
    out += (out.empty() ? "" : ", ") + problem.type() + " " + problem.pointer();
  }
  return out;
}

TEST_CASE("each thing that is wrong with a definition has its type and place") {
  const std::string exit = R"({"id": "end", "exit": {}})";
  const auto step = [&](const std::string& body) {
    return of_steps(R"({"id": "a", )" + body + "}, " + exit);
  };
  const struct {
    std::string json;
    std::string problems;
  } table[] = {
      {of_steps(exit), ""},
      {step(kSend), ""},
      {of_steps(R"({"id": "a", )" + kSend + "}"), "missing-exit /steps/0"},
      {of_steps(R"({"id": "a", )" + kSend + R"(, "next": "end"}, {"id": "b", "exit": {}}, )" + exit),
       "unreachable-step /steps/1"},
      {of_steps(""), "no-steps /steps"},
      {"{}", "invalid-trigger /trigger, no-steps /steps"},
      // triggers
      {R"({"trigger": {"event": {"name": "a"}, "api": {}}, "steps": [)" + exit + "]}",
       "invalid-trigger /trigger"},
      {R"({"trigger": {"event": {}}, "steps": [)" + exit + "]}", "invalid-event /trigger/event/name"},
      {R"({"trigger": {"event": {"name": "a", "where": {"field": "memory.x", "exists": true}}}, "steps": [)" +
           exit + "]}",
       "invalid-field /trigger/event/where/field"},
      {R"({"trigger": {"event": {"name": "a", "where": {"field": "traits.x", "exists": true}}}, "steps": [)" +
           exit + "]}",
       ""},
      {R"({"trigger": {"event": {"name": "a"}, "key": "key"}, "steps": [)" + exit + "]}",
       "invalid-key /trigger/key"},
      {R"({"trigger": {"event": {"name": "a"}, "key": "traits.x"}, "steps": [)" + exit + "]}",
       "invalid-key /trigger/key"},
      {R"({"trigger": {"event": {"name": "a"}, "key": "event.properties.x"}, "steps": [)" + exit + "]}", ""},
      {R"({"trigger": {"api": {}, "key": "key"}, "steps": [)" + exit + "]}", ""},
      {R"({"trigger": {"api": {"where": {"all": []}}}, "steps": [)" + exit + "]}",
       "invalid-condition /trigger/api/where"},
      {R"({"trigger": {"api": {}}, "exit_on": [{"name": "x"}, {"name": "y", "where": {"field": "traits.a", "exists":
          true}}], "steps": [)" +
           exit + "]}",
       "invalid-field /exit_on/1/where/field"},
      {R"({"trigger": {"api": {}}, "purpose": "No Name", "steps": [)" + exit + "]}", "invalid-name /purpose"},
      // steps
      {of_steps(R"({"id": "a"}, )" + exit), "invalid-step /steps/0, unreachable-step /steps/1"},
      {of_steps(R"({"id": "a", "exit": {}, )" + kSend + "}, " + exit), "invalid-step /steps/0"},
      {of_steps(R"({"id": "A", )" + kSend + "}, " + exit), "invalid-name /steps/0/id"},
      {of_steps("{" + kSend + "}, " + exit), "invalid-name /steps/0/id"},
      {of_steps(R"({"id": "end", )" + kSend + "}, " + exit), "duplicate-step /steps/1/id"},
      {step(kSend + R"(, "next": "nowhere")"), "unknown-step /steps/0/next, unreachable-step /steps/1"},
      {of_steps(R"({"id": "a", "exit": {}, "next": "a"})"), "meaningless-next /steps/0/next"},
      {step(R"("split": {"shares": [{"weight": 1, "next": "end"}]}, "next": "end")"),
       "meaningless-next /steps/0/next"},
      {step(R"("send": {"via": "main", "template": "t"})"), "missing-channel /steps/0/send/channel"},
      {step(R"("send": {"channel": "CHANNEL_SMS", "template": "t"})"), "missing-channel /steps/0/send/via"},
      {step(R"("send": {"channel": "CHANNEL_SMS", "via": "A B", "template": "t"})"),
       "invalid-name /steps/0/send/via"},
      {step(R"("send": {"channel": "CHANNEL_SMS", "via": "a"})"), "missing-template /steps/0/send/template"},
      {step(R"("remember": {"name": "x", "value": 3})"), ""},
      {step(R"("remember": {"name": "x", "value": null})"), ""},
      {step(R"("remember": {"name": "x", "field": "key"})"), ""},
      {step(R"("remember": {"name": "x"})"), "invalid-step /steps/0/remember"},
      {step(R"("remember": {"name": "x", "field": "key", "value": 3})"), "invalid-step /steps/0/remember"},
      {step(R"("remember": {"name": "x y", "value": 3})"), "invalid-name /steps/0/remember/name"},
      {step(R"("remember": {"name": "1x", "value": 3})"), "invalid-name /steps/0/remember/name"},
      {step(R"("remember": {"name": "size", "value": 3})"), "reserved-name /steps/0/remember/name"},
      {step(R"("remember": {"name": "x", "field": "traits.y"})"), "invalid-field /steps/0/remember/field"},
      {step(R"("remember": {"name": "x", "value": ")" + std::string(9000, 'x') + R"("})"),
       "too-large /steps/0/remember/value"},
      {step(R"("wait": {"duration": "1s"})"), ""},
      {step(R"("wait": {"duration": "31622400s"})"), ""},
      {step(R"("wait": {"duration": "31622400.1s"})"), "invalid-duration /steps/0/wait/duration"},
      {step(R"("wait": {"duration": "0.9s"})"), "invalid-duration /steps/0/wait/duration"},
      {step(R"("wait": {"duration": "-1s"})"), "invalid-duration /steps/0/wait/duration"},
      {step(R"("wait": {})"), "invalid-step /steps/0/wait"},
      {step(R"("wait": {"duration": "1s", "at": {"field": "event.properties.x"}})"),
       "invalid-step /steps/0/wait"},
      {step(R"("wait": {"at": {"field": "event.properties.x", "offset": "-86400s"}})"), ""},
      {step(R"("wait": {"at": {"field": "traits.x"}})"), "invalid-field /steps/0/wait/at/field"},
      {step(R"("wait": {"at": {"field": "memory.x", "offset": "31622401s"}})"),
       "invalid-duration /steps/0/wait/at/offset"},
      {step(R"("wait": {"until": {"event": {"name": "x"}, "timeout": "60s", "remember_as": "y"}})"), ""},
      {step(R"("wait": {"until": {"event": {"name": "x"}}})"),
       "invalid-duration /steps/0/wait/until/timeout"},
      {step(
           R"("wait": {"until": {"event": {}, "timeout": "60s", "on_timeout": "z", "remember_as": "last"}})"),
       "invalid-event /steps/0/wait/until/event/name, unknown-step /steps/0/wait/until/on_timeout, "
       "reserved-name /steps/0/wait/until/remember_as"},
      {step(
           R"("wait": {"until": {"event": {"name": "x", "where": {"field": "events.x.count", "exists": true}},
               "timeout": "60s"}})"),
       "invalid-field /steps/0/wait/until/event/where/field"},
      {step(R"("decide": {})"), "invalid-step /steps/0/decide/branches"},
      {step(R"("decide": {"branches": [{"when": {"field": "traits.x", "exists": true}, "next": "end"}]})"),
       ""},
      {step(R"("decide": {"branches": [{"when": {"field": "x", "exists": true}}]})"),
       "invalid-field /steps/0/decide/branches/0/when/field, unknown-step /steps/0/decide/branches/0/next"},
      {step(R"("split": {})"), "no-weight /steps/0/split/shares, unreachable-step /steps/1"},
      {step(R"("split": {"shares": [{"next": "end"}, {"next": "end"}]})"), "no-weight /steps/0/split/shares"},
      // cycles
      {step(kSend + R"(, "next": "a")"), "unreachable-step /steps/1, cycle-without-wait /steps/0"},
      {of_steps(R"({"id": "a", )" + kSend +
                R"(}, {"id": "b", "decide": {"branches": [{"when": {"field": "key",
                "exists": true}, "next": "a"}]}}, )" +
                exit),
       "cycle-without-wait /steps/1"},
      {of_steps(R"({"id": "a", )" + kSend + R"(}, {"id": "b", "wait": {"duration": "1s"}, "next": "a"})"),
       ""},
      {of_steps(R"({"id": "a", )" + kSend +
                R"(}, {"id": "b", "wait": {"at": {"field": "memory.x"}}, "next": "a"})"),
       "cycle-without-wait /steps/1"},
      {of_steps(
           R"({"id": "a", "wait": {"until": {"event": {"name": "x"}, "timeout": "60s", "on_timeout": "a"}}}, )" +
           exit),
       ""},
  };
  for (const auto& row : table) CHECK_MESSAGE(problems(row.json) == row.problems, row.json.substr(0, 300));
}

TEST_CASE("everything that is wrong is told at once") {
  CHECK(problems(R"({"trigger": {"event": {}, "key": "x"}, "purpose": "?", "exit_on": [{}], "steps": [
      {"id": "a", "wait": {}}, {"id": "a", "send": {}}, {"id": "b", "exit": {}, "next": "b"}]})") ==
        "invalid-event /trigger/event/name, invalid-key /trigger/key, invalid-event /exit_on/0/name, "
        "invalid-name /purpose, duplicate-step /steps/1/id, invalid-step /steps/0/wait, "
        "missing-channel /steps/1/send/channel, missing-channel /steps/1/send/via, "
        "missing-template /steps/1/send/template, meaningless-next /steps/2/next");
  std::string many;
  for (int i = 0; i < 201; ++i)
    many += (i > 0 ? ", " : "") + (R"({"id": "s)" + std::to_string(i)) + R"(", "exit": {}})";
  CHECK(problems(of_steps(many)) == "too-many-steps /steps");
  const auto refused = Definition::compile(journey_of("{}"));
  REQUIRE(!refused);
  CHECK(refused.error().type == "invalid-trigger");
  CHECK(refused.error().pointer == "/trigger");
}

TEST_CASE("a chain of 200 steps is checked without harm") {
  std::string many;
  for (int i = 0; i < 199; ++i) many += (R"({"id": "s)" + std::to_string(i)) + R"(", )" + kSend + "}, ";
  CHECK(problems(of_steps(many + R"({"id": "last", "exit": {}})")).empty());
}

TEST_CASE("what starts a journey, and under which key") {
  const auto definition = *Definition::compile(journey_of(R"({
      "trigger": {"event": {"name": "Cart Updated", "where": {"field": "traits.vip", "equals": true}},
                  "key": "event.properties.cart_id", "re_entry": "RE_ENTRY_RESTART"},
      "exit_on": [{"name": "Order Completed"}],
      "steps": [{"id": "w", "wait": {"until": {"event": {"name": "Seen"}, "timeout": "60s"}}},
                {"id": "end", "exit": {}}]})"));
  CHECK(definition->trigger_event() == "Cart Updated");
  CHECK(definition->re_entry() == v1::Trigger::RE_ENTRY_RESTART);
  CHECK(definition->purpose() == "marketing");
  CHECK(definition->listens("Order Completed"));
  CHECK(definition->listens("Seen"));
  CHECK(!definition->listens("Cart Updated"));

  v1::Person person;
  condition::Subject subject;
  subject.person = &person;
  boost::json::object event = {{"properties", {{"cart_id", 42}}}};
  subject.event = &event;
  CHECK(definition->start(subject).reason == "condition");
  auto& vip = *person.add_traits();
  vip.set_name("vip");
  vip.set_json("true");
  CHECK(definition->start(subject).starts);
  CHECK(definition->start(subject).key == "42");
  for (const boost::json::value& bad :
       {boost::json::value(nullptr), boost::json::value(""), boost::json::value({1, 2}),
        boost::json::value(std::string(301, 'x'))}) {
    event["properties"].get_object()["cart_id"] = bad;
    CHECK(!definition->start(subject).starts);
    CHECK(definition->start(subject).reason == "key");
  }
}

TEST_CASE("a decision goes the way of the first branch that holds") {
  const auto definition =
      *Definition::compile(journey_of(R"({"trigger": {"api": {}}, "purpose": "service", "steps": [
      {"id": "d", "decide": {"branches": [
        {"when": {"field": "memory.a", "equals": 1}, "next": "end"},
        {"when": {"field": "memory.a", "atLeast": 1}, "next": "end"}]}},
      {"id": "end", "exit": {}}]})"));
  CHECK(definition->purpose() == "service");
  CHECK(definition->trigger_event().empty());
  boost::json::object memory = {{"a", 1}};
  condition::Subject subject;
  subject.memory = &memory;
  CHECK(definition->branch("d", subject).index == 0);
  CHECK(definition->branch("d", subject).reason == "branch 1: memory.a equals");
  memory["a"] = 2;
  CHECK(definition->branch("d", subject).index == 1);
  memory["a"] = 0;
  CHECK(definition->branch("d", subject).index == -1);
  CHECK(definition->branch("d", subject).reason == "no branch holds");
  CHECK(definition->branch("nothing", subject).index == -1);
}

TEST_CASE("addresses of instances") {
  using namespace journey;
  const struct {
    std::string journey, key, customer;
  } table[] = {{"welcome", "", "c-81f"},
               {"cart", "k.1_A-b", "c-81f"},
               {"cart", "", "anonymous:7@x"},
               {"cart", "h-0123", "h:0123"},
               {"a", "k", "with/slash:and@all"}};
  for (const auto& row : table) {
    const auto name = instance_name(row.journey, row.key, row.customer);
    const auto back = parse_instance(name);
    REQUIRE_MESSAGE(back, name);
    CHECK(back->journey == row.journey);
    CHECK(back->key == row.key);
    CHECK(back->customer == row.customer);
  }
  for (const char* none : {"", "welcome", "welcome:", ":c", "Wel:c", "w@:c", "@k:c"})
    CHECK_MESSAGE(!parse_instance(none), none);

  CHECK(instance_key("c-7.A_") == "c-7.A_");
  CHECK(instance_key("") != "");
  CHECK(instance_key("a b").size() == 34);
  CHECK(instance_key("a b") != instance_key("a  b"));
  CHECK(instance_key(std::string(64, 'x')) == std::string(64, 'x'));
  CHECK(instance_key(std::string(65, 'x')).size() == 34);
  CHECK(customer_key("c-81f") == "c-81f");
  CHECK(customer_key(std::string(120, 'x')) == std::string(120, 'x'));
  CHECK(customer_key(std::string(121, 'x')).size() == 34);
  CHECK(customer_key("a\nb").size() == 34);
  const auto longest = instance_name(std::string(63, 'j'), std::string(64, 'k'), std::string(120, 'c'));
  CHECK(parse_address("journey/t/" + longest));
}

}  // namespace
}  // namespace cx::test
