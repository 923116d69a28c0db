#include <doctest/doctest.h>

#include "actors/customer/person.hpp"
#include "tests/actors/customer/driver.hpp"

namespace cx::test {
namespace {

using ReEntry = v1::Trigger::ReEntry;

v1::Journey keyed(const std::string& id, ReEntry re_entry) {
  auto out = journey_of(id, "Cart Updated");
  out.mutable_trigger()->set_key("event.properties.cart");
  out.mutable_trigger()->set_re_entry(re_entry);
  return out;
}
v1::TakeEvent cart(const std::string& cart, const std::string& id) {
  auto out = track("Cart Updated", id);
  out.set_properties("{\"cart\":\"" + cart + "\",\"total\":12.50}");
  return out;
}
void finish(Driver& d, const std::string& journey, const std::string& key, std::uint64_t run) {
  v1::RunFinished command;
  command.set_journey(journey);
  command.set_key(key);
  command.set_run(run);
  command.set_status("completed");
  REQUIRE(d.send(command));
}
v1::JourneyTriggered trigger(Driver& d, const std::string& id, const std::string& key = "") {
  v1::TriggerJourney command;
  command.set_id(id);
  command.set_key(key);
  return d.ask<v1::JourneyTriggered>(command);
}

}  // namespace

TEST_CASE("an event starts the journeys whose trigger holds, with the event as it was") {
  Driver d;
  auto rich = journey_of("rich", "Order Completed");
  auto& where = *rich.mutable_trigger()->mutable_event()->mutable_where();
  where.set_field("event.properties.total");
  where.mutable_at_least()->set_number_value(50);
  d.book.add(rich);
  d.book.add(journey_of("thanks", "Order Completed"));
  d.book.add(journey_of("draft", "Order Completed"), v1::JOURNEY_STAGE_DRAFT);
  d.book.add(journey_of("other", "Cart Updated"));

  auto order = track("Order Completed", "1", kNow - 5);
  order.set_properties(R"({"total":12.50})");
  order.set_context(R"({"ip":"::1"})");
  REQUIRE(d.take(order));
  const auto starts = d.taken<v1::StartRun>();
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].first == "journey/acme/thanks:c-1");
  const auto& start = starts[0].second;
  CHECK(start.journey() == "thanks");
  CHECK(start.revision() == 1);
  CHECK(start.run() == 1);
  CHECK(start.caused_at() == (kNow - 5) * 1'000);
  CHECK(start.reason() == "event Order Completed");
  CHECK(
      start.event() ==
      R"({"name":"Order Completed","properties":{"total":12.50},"context":{"ip":"::1"},"timestamp":"2026-02-28T23:59:59.995Z"})");
  CHECK(d.view().journeys_size() == 1);
  CHECK(d.view().journeys(0).running());
  CHECK(d.person().entries() == 2);
  CHECK_FALSE(d.take(order));
  CHECK(d.letters.empty());

  order.set_event_id("2");
  order.set_properties(R"({"total":50})");
  REQUIRE(d.take(order));
  const auto more = d.taken<v1::StartRun>();  // "thanks" runs already
  REQUIRE(more.size() == 1);
  CHECK(more[0].first == "journey/acme/rich:c-1");
}

TEST_CASE("a trigger sees what the event itself changes") {
  Driver d;
  auto third = journey_of("third", "Order Completed");
  auto& all = *third.mutable_trigger()->mutable_event()->mutable_where();
  all.set_field("events.\"Order Completed\".count");
  all.mutable_equals()->set_number_value(3);
  d.book.add(third);
  auto gold = journey_of("gold", "identify");
  auto& plan = *gold.mutable_trigger()->mutable_event()->mutable_where();
  plan.set_field("traits.plan");
  plan.mutable_equals()->set_string_value("gold");
  d.book.add(gold);
  for (const char* id : {"1", "2"}) d.take(track("Order Completed", id));
  CHECK(d.taken<v1::StartRun>().empty());
  d.take(track("Order Completed", "3"));
  CHECK(d.taken<v1::StartRun>().size() == 1);
  d.take(identify(R"({"plan":"free"})", "4"));
  CHECK(d.taken<v1::StartRun>().empty());
  d.take(identify(R"({"plan":"gold"})", "5", kNow + 1));
  CHECK(d.taken<v1::StartRun>().size() == 1);
}

TEST_CASE("each key has a run of its own, and the rules of re-entry hold for each") {
  struct Row {
    ReEntry rule;
    std::vector<std::uint64_t> running, ended;  // runs that a second start leads to while it runs, and after
  };
  const Row rows[] = {{v1::Trigger::RE_ENTRY_AFTER_EXIT, {}, {2}},
                      {v1::Trigger::RE_ENTRY_NEVER, {}, {}},
                      {v1::Trigger::RE_ENTRY_RESTART, {2}, {3}}};
  for (const auto& row : rows) {
    CAPTURE(row.rule);
    Driver d;
    d.book.add(keyed("cart", row.rule));
    int n = 0;
    const auto runs = [&](const std::string& key) {
      d.letters.clear();
      d.take(cart(key, std::to_string(++n)));
      std::vector<std::uint64_t> out;
      for (const auto& [to, start] : d.taken<v1::StartRun>()) {
        CHECK(to == "journey/acme/cart@" + key + ":c-1");
        CHECK(start.key() == key);
        out.push_back(start.run());
      }
      return out;
    };
    CHECK(runs("a") == std::vector<std::uint64_t>{1});
    CHECK(runs("b") == std::vector<std::uint64_t>{1});
    CHECK(runs("a") == row.running);
    const auto run = find_run(d.person(), "cart", "a")->run();
    finish(d, "cart", "a", run + 1);  // of no run that there is
    finish(d, "cart", "a", run - 1);
    CHECK(find_run(d.person(), "cart", "a")->ended() == 0);
    finish(d, "cart", "a", run);
    CHECK(find_run(d.person(), "cart", "a")->ended() == d.now);
    const auto entries = d.person().entries();
    finish(d, "cart", "a", run);
    CHECK(d.person().entries() == entries);
    CHECK(runs("a") == row.ended);
  }
}

TEST_CASE("those that run hear of events that they listen for, unless the event starts them") {
  Driver d;
  auto waits = journey_of("waits", "Order Completed");
  waits.mutable_steps(0)->mutable_wait()->clear_duration();
  auto& until = *waits.mutable_steps(0)->mutable_wait()->mutable_until();
  until.mutable_event()->set_name("Cart Updated");
  until.mutable_timeout()->set_seconds(60);
  d.book.add(waits);
  d.book.add(journey_of("deaf", "Order Completed"));
  d.take(track("Cart Updated", "1"));
  CHECK(d.letters.empty());
  d.take(track("Order Completed", "2"));
  CHECK(d.taken<v1::StartRun>().size() == 2);
  d.take(cart("x", "3"));
  const auto heard = d.taken<v1::RunEvent>();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].first == "journey/acme/waits:c-1");
  CHECK(heard[0].second.name() == "Cart Updated");
  CHECK(heard[0].second.at() == kNow);
  CHECK(heard[0].second.caused_at() == kNow * 1'000);
  d.take(track("Page Left", "4"));
  CHECK(d.letters.empty());
  d.book.definitions.clear();  // not loaded here: the instance has to tell
  d.book.stages.clear();
  d.take(track("Cart Updated", "5"));
  CHECK(d.taken<v1::RunEvent>().size() == 2);
  finish(d, "waits", "", 1);
  d.take(track("Cart Updated", "6"));
  CHECK(d.taken<v1::RunEvent>().size() == 1);

  Driver again;
  auto restarts = waits;
  restarts.mutable_trigger()->mutable_event()->set_name("Cart Updated");
  restarts.mutable_trigger()->set_re_entry(v1::Trigger::RE_ENTRY_RESTART);
  again.book.add(restarts);
  again.take(track("Cart Updated", "1"));
  again.letters.clear();
  again.take(track("Cart Updated", "2"));
  REQUIRE(again.letters.size() == 1);
  CHECK(again.taken<v1::StartRun>().size() == 1);
  CHECK(again.events.back().run().what() == "restarted");
}

TEST_CASE("a call starts a journey that is triggered by calls, or says why not") {
  Driver d;
  auto gold = journey_of("gold", "");
  auto& where = *gold.mutable_trigger()->mutable_api()->mutable_where();
  where.set_field("event.properties.plan");
  where.mutable_equals()->set_string_value("gold");
  d.book.add(gold);
  d.book.add(journey_of("event", "Order Completed"));
  d.book.add(journey_of("paused", ""), v1::JOURNEY_STAGE_PAUSED);
  d.book.add(journey_of("draft", ""), v1::JOURNEY_STAGE_DRAFT);
  v1::TriggerJourney command;
  const auto error = [&](const std::string& id) {
    command.set_id(id);
    return d.error(command);
  };
  CHECK(error("nothing") == "no-such-journey");
  CHECK(error("paused") == "journey-not-active");
  CHECK(error("draft") == "journey-not-active");
  CHECK(error("event") == "not-triggered-by-api");
  CHECK(error("gold").empty());
  CHECK(trigger(d, "gold").reason() == "condition");
  auto& data = *command.mutable_data()->mutable_fields();
  data["plan"].set_string_value("gold");
  data["n"].set_number_value(12);
  data["x"].set_number_value(12.5);
  data["inf"].set_number_value(std::numeric_limits<double>::infinity());
  data["l"].mutable_list_value()->add_values()->set_bool_value(true);
  data["l"].mutable_list_value()->add_values()->set_null_value(google::protobuf::NULL_VALUE);
  data["e"].mutable_list_value();
  data["o"].mutable_struct_value();
  d.letters.clear();
  const auto reply = d.ask<v1::JourneyTriggered>(command);
  CHECK(reply.started());
  CHECK(reply.run() == 1);
  CHECK(reply.revision() == 1);
  const auto starts = d.taken<v1::StartRun>();
  REQUIRE(starts.size() == 1);
  CHECK(
      starts[0].second.event() ==
      R"({"properties":{"e":[],"inf":null,"l":[true,null],"n":12,"o":{},"plan":"gold","x":12.5},"timestamp":"2026-03-01T00:00:00Z"})");
  CHECK(starts[0].second.reason() == "call by user/ana");
  CHECK(d.ask<v1::JourneyTriggered>(command).reason() == "already-running");
  data["big"].set_string_value(std::string(40'000, 'x'));
  CHECK(d.error(command) == "data-too-large");

  auto with_key = journey_of("keyed", "");
  with_key.mutable_trigger()->set_key("key");
  d.book.add(with_key);
  CHECK(trigger(d, "keyed").reason() == "key");
  CHECK(trigger(d, "keyed", "Booking 7/x").started());
  CHECK(d.letters.back().to.starts_with("journey/acme/keyed@h-"));
}

TEST_CASE(
    "300 runs are remembered: what has ended goes first, what never starts again last, and numbers ascend") {
  Driver d;
  d.book.add(keyed("cart", v1::Trigger::RE_ENTRY_AFTER_EXIT));
  auto once = keyed("once", v1::Trigger::RE_ENTRY_NEVER);
  once.mutable_trigger()->mutable_event()->set_name("Once");
  d.book.add(once);
  int n = 0;
  const auto start = [&](const std::string& key, const char* event = "Cart Updated") {
    auto command = cart(key, std::to_string(++n));
    command.set_name(event);
    d.take(command);
    ++d.now;
  };
  start("o", "Once");
  finish(d, "once", "o", 1);
  start("first");
  finish(d, "cart", "first", 1);
  start("first");
  finish(d, "cart", "first", 2);
  for (int i = 0; d.person().runs_size() < kMostRuns; ++i) start("r" + std::to_string(i));
  start("one-more");  // "first" has to go
  CHECK(d.person().runs_size() == kMostRuns);
  CHECK(find_run(d.person(), "cart", "first") == nullptr);
  CHECK(find_run(d.person(), "once", "o") != nullptr);
  d.letters.clear();
  start("first");  // "o" has to go, there is nothing else; the number is higher than it ever was
  auto starts = d.taken<v1::StartRun>();
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].second.run() == 3);
  CHECK(find_run(d.person(), "once", "o") == nullptr);

  d.letters.clear();
  start("too-many");
  CHECK(d.taken<v1::StartRun>().empty());
  CHECK(d.events.back().run().what() == "refused");
  CHECK(d.events.back().run().reason() == "too-many-journeys");
  CHECK(d.person().runs_size() == kMostRuns);
  d.book.add(journey_of("call", ""));
  v1::TriggerJourney command;
  command.set_id("call");
  CHECK(d.error(command) == "too-many-journeys");
  finish(d, "cart", "r1", 1);
  CHECK(d.error(command).empty());
  CHECK(find_run(d.person(), "cart", "r1") == nullptr);
  CHECK(find_run(d.person(), "cart", "r0") != nullptr);
}

TEST_CASE("a decision is judged with what is known of the customer, and answered by letter") {
  Driver d;
  auto decides = journey_of("decides", "Order Completed");
  auto& step = *decides.mutable_steps(0);
  step.clear_wait();
  auto& branch = *step.mutable_decide()->add_branches();
  branch.mutable_when()->set_field("traits.plan");
  branch.mutable_when()->mutable_equals()->set_string_value("gold");
  branch.set_next("end");
  d.book.add(decides);
  v1::DecideStep command;
  command.set_instance("journey/acme/decides:c-1");
  command.set_journey("decides");
  command.set_revision(1);
  command.set_step("wait");
  command.set_visit(4);
  command.set_caused_at(5);
  const auto ask = [&] {
    REQUIRE(d.send(command));
    const auto letters = d.taken<v1::StepDecided>();
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].first == command.instance());
    CHECK(letters[0].second.visit() == 4);
    CHECK(letters[0].second.caused_at() == 5);
    return letters[0].second.branch();
  };
  CHECK(ask() == -1);
  d.take(identify(R"({"plan":"gold"})", "1"));
  CHECK(ask() == 0);
  command.set_revision(2);
  CHECK(d.error(command) == "journey-not-loaded");
}

}  // namespace cx::test
