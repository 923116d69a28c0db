#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "actors/condition/time.hpp"
#include "actors/customer/decide.hpp"
#include "actors/customer/json.hpp"
#include "actors/customer/person.hpp"
#include "actors/journey/address.hpp"
#include "actors/journey/json.hpp"

// Journeys of a customer: which run, and how they start.

namespace cx {
namespace {

constexpr std::size_t kMostData = 32'768;  // bytes of what a call hands over

// The customer that a decision is about, as those who start journeys need it.
struct Starter {
  const v1::Person& person;
  const Context& context;
  Numbered& numbered;
  Effects& effects;
  int added = 0;  // runs that were not known before

  struct Entry {
    bool starts = false;
    bool restarts = false;
    std::uint64_t run = 0;    // 0: there was none
    std::string reason = {};  // why it does not start
  };
  Entry enter(const journey::Definition& definition, const std::string& journey, const std::string& key) {
    const auto* known = find_run(person, journey, key);
    if (known != nullptr) {
      const bool running = known->ended() == 0;
      const auto rule = definition.re_entry();
      if (running && rule != v1::Trigger::RE_ENTRY_RESTART)
        return {.run = known->run(), .reason = "already-running"};
      if (!running && rule == v1::Trigger::RE_ENTRY_NEVER) return {.run = known->run(), .reason = "re-entry"};
      return {.starts = true, .restarts = running, .run = known->run() + 1};
    }
    const auto& runs = person.runs();
    if (runs.size() + added >= kMostRuns &&
        std::count_if(runs.begin(), runs.end(), [](const auto& r) { return r.ended() == 0; }) + added >=
            kMostRuns)
      return {.reason = "too-many-journeys"};
    ++added;
    return {.starts = true, .run = person.forgotten_run() + 1};
  }

  v1::RunChanged& change(const v1::JourneyRevision& journey, const std::string& key, std::string reason) {
    auto& changed = *numbered.add().mutable_run();
    changed.mutable_run()->set_journey(journey.journey());
    changed.mutable_run()->set_key(key);
    changed.mutable_run()->set_revision(journey.revision());
    changed.set_reason(std::move(reason));
    changed.set_at(context.now);
    return changed;
  }

  void start(const journey::Definition& definition, const v1::JourneyRevision& journey,
             const std::string& key, const Entry& entry, const std::string& reason, const std::string& event,
             std::int64_t caused_at) {
    auto& changed = change(journey, key, reason);
    changed.set_what(entry.restarts ? "restarted" : "started");
    changed.mutable_run()->set_run(entry.run);
    changed.mutable_run()->set_started(context.now);
    changed.mutable_run()->set_once(definition.re_entry() == v1::Trigger::RE_ENTRY_NEVER);
    v1::StartRun letter;
    letter.set_journey(journey.journey());
    letter.set_revision(journey.revision());
    letter.set_run(entry.run);
    letter.set_key(key);
    letter.set_event(event);
    letter.set_caused_at(caused_at);
    letter.set_reason(reason);
    effects.send(instance(journey.journey(), key), std::move(letter));
  }

  std::string instance(const std::string& journey, const std::string& key) const {
    return fmt::format(
        "journey/{}/{}", context.tenant,
        journey::instance_name(journey, key.empty() ? "" : journey::instance_key(key), context.key));
  }
};

Error not_loaded(const std::string& journey, std::uint64_t revision) {
  return {
      Code::unavailable, "journey-not-loaded",
      fmt::format("Revision {} of journey {} is not loaded yet. Try again in a second.", revision, journey),
      ""};
}

}  // namespace

void tell_journeys(const journey::Book& book, const v1::CustomerFacts* facts, const v1::Person& person,
                   const Happened& happened, const Context& context, Numbered& numbered, Effects& effects) {
  Starter starter{person, context, numbered, effects};
  std::set<std::pair<std::string, std::string>>
      started;  // a run that an event starts is not told of it again
  if (facts != nullptr && !facts->journeys().empty()) {
    const auto event = journey::object_of(happened.json);
    const auto reason = "event " + std::string(happened.name);
    for (const auto& one : facts->journeys()) {
      const auto definition = book.find(context.tenant, one.journey(), one.revision());
      if (!definition) continue;
      const auto start =
          definition->start({.person = &happened.after, .event = &event, .key = {}, .now = context.now});
      if (!start.starts) continue;
      const auto entry = starter.enter(*definition, one.journey(), start.key);
      if (entry.starts) {
        starter.start(*definition, one, start.key, entry, reason, happened.json, happened.caused_at);
        started.emplace(one.journey(), start.key);
      } else if (entry.run == 0) {
        starter.change(one, start.key, entry.reason).set_what("refused");
      }
    }
  }
  for (const auto& run : person.runs()) {
    if (run.ended() != 0 || started.contains({run.journey(), run.key()})) continue;
    // What is not loaded here the instance will tell apart.
    const auto definition = book.find(context.tenant, run.journey(), run.revision());
    if (definition && !definition->listens(happened.name)) continue;
    v1::RunEvent letter;
    letter.set_name(std::string(happened.name));
    letter.set_event(happened.json);
    letter.set_at(happened.at);
    letter.set_caused_at(happened.caused_at);
    effects.send(starter.instance(run.journey(), run.key()), std::move(letter));
  }
}

Result<Customer::Out<v1::JourneyTriggered>> Customer::handle(const State& state,
                                                             const v1::TriggerJourney& command,
                                                             const Context& context) const {
  const auto* facts = context.facts_as<v1::CustomerFacts>();
  if (journeys == nullptr || facts == nullptr || facts->journeys().empty())
    return Error{Code::not_found, "no-such-journey",
                 "There is no journey " + command.id() + ". Look for it in the list of journeys.", "/id"};
  const auto& journey = facts->journeys(0);
  if (journey.revision() == 0)
    return Error{
        Code::conflict, "journey-not-active",
        "Journey " + command.id() + " is not active, so nobody can start. Activate or resume it first.",
        "/id"};
  const auto definition = journeys->find(context.tenant, journey.journey(), journey.revision());
  if (!definition) return not_loaded(journey.journey(), journey.revision());
  if (!definition->trigger_event().empty())
    return Error{Code::conflict, "not-triggered-by-api",
                 "Journey " + command.id() + " is started by the event \"" + definition->trigger_event() +
                     "\". Send that event, or store a revision with the trigger `api`.",
                 "/id"};

  std::string json = "{\"properties\":";
  append_json(json, command.data());
  if (json.size() > kMostData)
    return Error{
        Code::invalid_argument, "data-too-large",
        "data may have " + std::to_string(kMostData) + " bytes as JSON. Leave out what no step needs.",
        "/data"};
  json += ",\"timestamp\":\"" + condition::time_text(context.now) + "\"}";
  const auto event = journey::object_of(json);
  const auto start = definition->start(
      {.person = &state.person(), .event = &event, .key = command.key(), .now = context.now});

  Out<v1::JourneyTriggered> out;
  out.reply.set_revision(journey.revision());
  if (!start.starts) {
    out.reply.set_reason(start.reason);
    return out;
  }
  Numbered numbered(state, out.events);
  Starter starter{state.person(), context, numbered, out};
  const auto entry = starter.enter(*definition, journey.journey(), start.key);
  if (!entry.starts && entry.run == 0)
    return Error{Code::conflict, entry.reason,
                 "The customer is in " + std::to_string(kMostRuns) +
                     " journeys at once, which is the most. Wait until some have ended.",
                 ""};
  out.reply.set_started(entry.starts);
  out.reply.set_reason(entry.reason);
  out.reply.set_run(entry.run);
  if (entry.starts)
    starter.start(*definition, journey, start.key, entry,
                  context.actor.empty() ? "call" : "call by " + std::string(context.actor), json,
                  context.now * 1'000);
  return out;
}

Customer::Out<NoReply> Customer::handle(const State& state, const v1::RunFinished& command,
                                        const Context& context) {
  Out<NoReply> out;
  const auto* run = find_run(state.person(), command.journey(), command.key());
  if (run == nullptr || run->run() != command.run() || run->ended() != 0) return out;
  auto& changed = *Numbered(state, out.events).add().mutable_run();
  *changed.mutable_run() = *run;
  changed.mutable_run()->set_ended(context.now);
  changed.set_what(command.status());
  changed.set_reason(cut(command.reason(), 300));
  changed.set_at(context.now);
  return out;
}

Result<Customer::Out<NoReply>> Customer::handle(const State& state, const v1::DecideStep& command,
                                                const Context& context) const {
  const auto definition =
      journeys == nullptr ? nullptr : journeys->find(context.tenant, command.journey(), command.revision());
  if (!definition) return not_loaded(command.journey(), command.revision());
  const auto event = journey::object_of(command.event()), memory = journey::object_of(command.memory());
  auto branch = definition->branch(command.step(), {.person = &state.person(),
                                                    .event = &event,
                                                    .memory = &memory,
                                                    .key = command.key(),
                                                    .now = context.now});
  Out<NoReply> out;
  v1::StepDecided letter;
  letter.set_visit(command.visit());
  letter.set_branch(branch.index);
  letter.set_reason(std::move(branch.reason));
  letter.set_caused_at(command.caused_at());
  out.send(command.instance(), std::move(letter));
  return out;
}

}  // namespace cx
