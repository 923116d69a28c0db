#include <algorithm>
#include <xxhash.h>

#include "actors/condition/time.hpp"
#include "actors/customer/decide.hpp"
#include "actors/customer/event_type.hpp"
#include "actors/customer/json.hpp"
#include "actors/customer/outcome.hpp"
#include "actors/customer/person.hpp"
#include "actors/customer/zone.hpp"
#include "runtime/json.hpp"

// What happens to a customer.

namespace cx {
namespace {

std::string id_of(const v1::TakeEvent& event) {
  const auto text = event.source() + '\0' + event.event_id();
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, XXH3_128bits(text.data(), text.size()));
  return {reinterpret_cast<const char*>(bytes.digest), sizeof bytes.digest};
}

std::string json_of(const v1::TakeEvent& event) {
  std::string out = "{\"name\":";
  append_json(out, name_of(event));
  out += ",\"properties\":" + (event.properties().empty() ? "{}" : event.properties());
  out += ",\"context\":" + (event.context().empty() ? "{}" : event.context());
  out += ",\"timestamp\":\"" + condition::time_text(event.at()) + "\"}";
  return out;
}

// What an identify call changes. Each trait has the value of the newest event that told it, in whatever order
// events come; of two of the same time that of the later one.
void take_traits(const v1::Person& person, const v1::TakeEvent& event, v1::EventTaken& taken) {
  int added = 0;
  members_of(event.properties(), [&](std::string_view name, std::string value) {
    const auto* known = find_trait(person, name);
    if (known != nullptr && known->at() > event.at()) return;
    const bool fits = value.size() <= kMostTraitBytes && name.size() <= kMostNameBytes && !name.empty();
    if (!fits || (known == nullptr && person.traits_size() + added >= kMostTraits))
      return taken.set_left_out(taken.left_out() + 1);
    if (known == nullptr) ++added;
    auto& trait = *taken.add_traits();
    trait.set_name(std::string(name));
    trait.set_json(std::move(value));
    trait.set_at(event.at());
  });
}

}  // namespace

std::string_view name_of(const v1::TakeEvent& event) {
  if (event.type() == v1::EVENT_TYPE_TRACK) return event.name();
  return event.type() == v1::EVENT_TYPE_ALIAS ? "" : word_of(event.type());
}

Result<Customer::Out<v1::EventAccepted>> Customer::handle(const State& state, const v1::TakeEvent& command,
                                                          const Context& context) const {
  Out<v1::EventAccepted> out;
  const auto& person = state.person();
  auto id = id_of(command);
  if (was_seen(person, id, context.now)) {
    out.reply.set_duplicate(true);
    return out;
  }
  if (seen_events(person, context.now) >= kMostEvents)
    return Error{Code::rate_limited, "customer-busy",
                 "Customer " + std::string(context.key) + " had " + std::to_string(kMostEvents) +
                     " events in 24 hours, the most that one customer may have. Find out what sends them, "
                     "and try again in an hour.",
                 ""};

  Numbered numbered(state, out.events);
  auto& taken = *numbered.add().mutable_taken();
  taken.set_at(command.at());
  taken.set_received(context.now);
  taken.set_id(std::move(id));
  taken.set_type(command.type());
  const auto name = name_of(command);
  const bool counts = name.size() <= kMostNameBytes &&
                      (person.events_size() < kMostEventNames || find_event(person, name) != nullptr);
  if (counts)
    taken.set_counted(std::string(name));
  else
    taken.set_left_out(1);
  if (command.type() == v1::EVENT_TYPE_IDENTIFY) take_traits(person, command, taken);
  if (auto zone = text_member(command.context(), "timezone");
      zone != person.geo_zone() && delivery::Zone::exists(zone))
    taken.set_geo_zone(std::move(zone));

  if (auto report = outcome_of(command, context.now)) {
    const auto to = "decision/" + std::string(context.tenant) + '/' + report->decision_id();
    out.send(to, *std::move(report));
  }

  const auto* facts = context.facts_as<v1::CustomerFacts>();
  const bool runs = std::any_of(person.runs().begin(), person.runs().end(),
                                [](const auto& run) { return run.ended() == 0; });
  if (journeys == nullptr || name.empty() || (facts == nullptr && !runs)) return out;
  v1::Person after;
  *after.mutable_traits() = person.traits();
  *after.mutable_events() = person.events();
  cx::apply(after, taken, 0);
  const Happened happened{name, json_of(command), command.at(), command.received_at(), after};
  tell_journeys(*journeys, facts, person, happened, context, numbered, out);
  return out;
}

}  // namespace cx
