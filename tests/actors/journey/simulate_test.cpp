#include "actors/journey/simulate.hpp"

#include <chrono>

#include "drive.hpp"

namespace cx::test {
namespace {

using journey::Simulation;
using journey::SimulationOptions;

constexpr std::int64_t kStart = 1'772'323'200'000;  // 2026-03-01T00:00:00Z, a Sunday

constexpr const char* kTwoMails = R"({
  "trigger": {"event": {"name": "Signed Up"}},
  "exit_on": [{"name": "Left"}],
  "steps": [
    {"id": "hello", "send": {"channel": "CHANNEL_EMAIL", "via": "main", "template": "hello"}},
    {"id": "day", "wait": {"duration": "86400s"}},
    {"id": "more", "send": {"channel": "CHANNEL_EMAIL", "via": "main", "template": "more"}},
    {"id": "end", "exit": {}}
  ]})";

v1::TakeEvent track(const std::string& name, std::int64_t at, const std::string& id) {
  v1::TakeEvent event;
  event.set_type(v1::EVENT_TYPE_TRACK);
  event.set_name(name);
  event.set_at(at);
  event.set_event_id(id);
  return event;
}

struct Simulated {
  Lines messages;
  journey::SimulationReport report;
};

Simulated simulate(SimulationOptions options,
                   const std::vector<std::pair<std::string, v1::TakeEvent>>& history,
                   const std::vector<std::pair<std::string, v1::Consent>>& consents = {}) {
  Simulated out;
  auto made = Simulation::make(journey_of(kTwoMails), options, [&](const journey::SimulatedMessage& m) {
    out.messages.push_back(m.customer + " " + m.step->send().template_() + " " + condition::time_text(m.at) +
                           " " + m.outcome + (m.rule.empty() ? "" : " " + m.rule));
  });
  REQUIRE(made);
  for (const auto& [who, consent] : consents) CHECK(!(*made)->take(who, consent));
  for (const auto& [who, event] : history) CHECK(!(*made)->take(who, event));
  auto report = (*made)->finish();
  REQUIRE(report);
  out.report = *report;
  return out;
}

TEST_CASE("a simulation says who would get what, and how many passed each step") {
  const auto out = simulate({}, {{"a", track("Signed Up", kStart, "1")},
                                 {"b", track("Signed Up", kStart + kHour, "2")},
                                 {"b", track("Signed Up", kStart + kHour, "2")},
                                 {"b", track("Left", kStart + 2 * kHour, "3")},
                                 {"c", track("Other", kStart + 3 * kHour, "4")}});
  CHECK(out.messages == Lines{"a hello 2026-03-01T00:00:00Z sent", "b hello 2026-03-01T01:00:00Z sent",
                              "a more 2026-03-02T00:00:00Z sent"});
  CHECK(out.report.events == 4);
  CHECK(out.report.duplicates == 1);
  CHECK(out.report.customers == 3);
  CHECK(out.report.started == 2);
  CHECK(out.report.completed == 1);
  CHECK(out.report.exited == 1);
  REQUIRE(out.report.steps.size() == 4);
  CHECK(out.report.steps[0].entered == 2);
  CHECK(out.report.steps[0].sent == 2);
  CHECK(out.report.steps[2].entered == 1);
  CHECK(out.report.steps[1].there == 0);
}

TEST_CASE("consent, policy and end of a simulation are options") {
  const std::vector<std::pair<std::string, v1::TakeEvent>> history = {{"a", track("Signed Up", kStart, "1")}};
  SimulationOptions options;
  options.consent = SimulationOptions::Consent::none;
  CHECK(simulate(options, history).messages ==
        Lines{"a hello 2026-03-01T00:00:00Z refused consent", "a more 2026-03-02T00:00:00Z refused consent"});

  options.consent = SimulationOptions::Consent::recorded;
  v1::Consent consent;
  consent.set_purpose("marketing");
  consent.set_channel(v1::CHANNEL_EMAIL);
  consent.set_granted(true);
  consent.set_at(kStart - 1);
  CHECK(simulate(options, history, {{"a", consent}}).messages.front() == "a hello 2026-03-01T00:00:00Z sent");
  CHECK(simulate(options, history, {{"b", consent}}).messages.front() ==
        "a hello 2026-03-01T00:00:00Z refused consent");

  options.consent = SimulationOptions::Consent::all;
  options.until = kStart + kHour;
  const auto cut = simulate(options, history);
  CHECK(cut.messages == Lines{"a hello 2026-03-01T00:00:00Z sent"});
  CHECK(cut.report.steps[1].there == 1);
  CHECK(cut.report.until == options.until);

  options.until = 0;
  v1::DeliveryPolicy policy;
  auto& quiet = *policy.add_quiet_hours();
  quiet.set_start("22:00");
  quiet.set_end("08:00");
  options.policy = *delivery::compile_policy(policy);
  CHECK(simulate(options, history).messages ==
        Lines{"a hello 2026-03-01T00:00:00Z deferred quiet-hours", "a hello 2026-03-01T08:00:00Z sent",
              "a more 2026-03-02T00:00:00Z deferred quiet-hours", "a more 2026-03-02T08:00:00Z sent"});
}

TEST_CASE("what no history can start is not simulated") {
  auto by_api = journey_of(kTwoMails);
  by_api.mutable_trigger()->mutable_api();
  by_api.mutable_trigger()->clear_event();
  CHECK(Simulation::make(by_api, {}, {}).error().type == "not-triggered-by-event");
  CHECK(Simulation::make(v1::Journey(), {}, {}).error().type == "invalid-trigger");
}

TEST_CASE("a simulation of many events, for its speed" * doctest::skip()) {
  const auto begin = std::chrono::steady_clock::now();
  auto made = Simulation::make(journey_of(kTwoMails), {}, {});
  for (int i = 0; i < 1'000'000; ++i) {
    const auto who = "c" + std::to_string(i % 100'000);
    auto event = track(i % 10 == 0 ? "Signed Up" : "Seen", kStart + i * 1000LL, std::to_string(i));
    event.set_properties(R"({"page": "home", "n": 7})");
    if (const auto error = (*made)->take(who, std::move(event))) FAIL(error->detail);
  }
  const auto report = (*made)->finish();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  MESSAGE(report->events << " events, " << report->started << " runs in " << took.count() << " s");
}

}  // namespace
}  // namespace cx::test
