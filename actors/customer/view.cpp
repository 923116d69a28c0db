#include <algorithm>
#include <google/protobuf/util/time_util.h>

#include "actors/customer/decide.hpp"
#include "actors/customer/gate.hpp"
#include "actors/customer/json.hpp"
#include "actors/customer/person.hpp"

// A customer as others see it.

namespace cx {
namespace {

using google::protobuf::util::TimeUtil;

void set_time(google::protobuf::Timestamp* out, std::int64_t unix_ms) {
  *out = TimeUtil::MillisecondsToTimestamp(unix_ms);
}

bool is_known(const v1::CustomerState& state) {
  return state.has_person() || state.last_seen() != 0;
}

Error unknown(std::string_view key) {
  return {Code::not_found, "no-such-customer",
          "Nothing is known of customer " + std::string(key) +
              ". Look at the id: it is what events name as userId, or \"anonymous:\" and the anonymousId.",
          "/customer_id"};
}

void add_traits(const v1::Person& person, v1::CustomerView& out) {
  auto& traits = *out.mutable_traits()->mutable_fields();
  for (const auto& trait : person.traits())
    if (has_value(trait)) to_value(trait.json(), traits[trait.name()]);
}

void add_events(const v1::Person& person, v1::CustomerView& out) {
  for (const auto& event : person.events()) {
    auto& one = *out.add_events();
    one.set_name(event.name());
    one.set_count(event.count());
    set_time(one.mutable_first(), event.first());
    set_time(one.mutable_last(), event.last());
  }
}

void add_preferences(const v1::Person& person, std::int64_t now, v1::CustomerView& out) {
  for (const auto& consent : person.consents()) {
    auto& one = *out.add_consents();
    one.set_purpose(consent.purpose());
    one.set_channel(consent.channel());
    one.set_granted(consent.granted());
    set_time(one.mutable_at(), consent.at());
    one.set_origin(consent.origin());
  }
  for (const auto& suppression : person.suppressions()) {
    if (!holds(suppression, now)) continue;
    auto& one = *out.add_suppressions();
    one.set_channel(suppression.channel());
    one.set_reason(suppression.reason());
    if (suppression.until() != 0) set_time(one.mutable_until(), suppression.until());
  }
}

void add_messages(const v1::Person& person, v1::CustomerView& out) {
  for (const auto& message : person.messages()) {
    auto& one = *out.add_messages();
    one.set_message_id(message.request().message_id());
    one.set_status(message.until() == 0 ? "queued" : "deferred");
    one.set_channel(message.request().channel());
    one.set_journey(message.request().journey());
    one.set_step(message.request().step());
    if (message.until() != 0) set_time(one.mutable_until(), message.until());
  }
}

void add_journeys(const v1::Person& person, v1::CustomerView& out) {
  for (const auto& run : person.runs()) {
    auto& one = *out.add_journeys();
    one.set_journey(run.journey());
    one.set_key(run.key());
    one.set_revision(run.revision());
    one.set_running(run.ended() == 0);
    set_time(one.mutable_started(), run.started());
    if (run.ended() != 0) set_time(one.mutable_ended(), run.ended());
  }
}

v1::CustomerView view_of(const v1::CustomerState& state, const delivery::Policy* policy,
                         const Context& context) {
  v1::CustomerView out;
  const auto& person = state.person();
  out.set_customer_id(std::string(context.key));
  add_traits(person, out);
  add_events(person, out);
  add_preferences(person, context.now, out);
  add_messages(person, out);
  add_journeys(person, out);
  const auto zone = delivery::zone_of(person, policy);
  out.set_time_zone(std::string(zone.zone.name()));
  out.set_time_zone_basis(std::string(zone.basis));
  if (person.first_seen() != 0) set_time(out.mutable_first_seen(), person.first_seen());
  if (const auto last = std::max(person.last_seen(), state.last_seen()); last != 0)
    set_time(out.mutable_last_seen(), last);
  out.set_entries(person.entries());
  out.set_left_out(person.left_out());
  return out;
}

}  // namespace

Result<v1::CustomerView> Customer::handle(const State& state, const v1::GetCustomer&,
                                          const Context& context) const {
  if (!is_known(state)) return unknown(context.key);
  return view_after(state, {}, context);
}

Result<v1::Entries> Customer::handle(const State& state, const v1::GetEntries&, const Context& context) {
  if (!is_known(state)) return unknown(context.key);
  v1::Entries out;
  out.set_count(state.person().entries());
  out.set_last_at(state.person().last_entry());
  return out;
}

// Only the time zone depends on the policy: no reason to refuse what a customer wants while it is not loaded.
v1::CustomerView Customer::view_after(const State& state, const std::vector<Event>& events,
                                      const Context& context) const {
  const auto found = policy_of(context);
  const auto policy = found ? *found : nullptr;
  if (events.empty()) return view_of(state, policy.get(), context);
  auto after = state;
  for (const auto& event : events) apply(after, event);
  return view_of(after, policy.get(), context);
}

}  // namespace cx
