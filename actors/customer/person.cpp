#include "actors/customer/person.hpp"

#include <algorithm>

#include "actors/customer/json.hpp"

namespace cx {
namespace {

constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kKeptHours = 24;  // beside the one that runs
constexpr std::int64_t kCountedFor = 32 * 24 * kHour;
constexpr std::size_t kIdBytes = 16;

// Where `name` is or belongs, in a list that ascends by name.
template <class List>
int place_of(const List& list, std::string_view name) {
  const auto at = std::lower_bound(list.begin(), list.end(), name,
                                   [](const auto& one, std::string_view n) { return one.name() < n; });
  return static_cast<int>(at - list.begin());
}

template <class List>
auto by_name(const List& list, std::string_view name) -> const typename List::value_type* {
  const int at = place_of(list, name);
  return at < list.size() && list[at].name() == name ? &list[at] : nullptr;
}

template <class List, class Is>
auto* find_if(List& list, Is is) {
  const auto at = std::find_if(list.begin(), list.end(), is);
  return at == list.end() ? nullptr : &*at;
}

template <class List>
auto* insert_at(List& list, int place) {
  list.Add();
  std::rotate(list.pointer_begin() + place, list.pointer_end() - 1, list.pointer_end());
  return list.Mutable(place);
}

// The one called so, made where there is none.
template <class List>
auto* named(List& list, const std::string& name) {
  const int place = place_of(list, name);
  if (place < list.size() && list[place].name() == name) return list.Mutable(place);
  auto* made = insert_at(list, place);
  made->set_name(name);
  return made;
}

auto is_message(std::string_view id) {
  return [id](const auto& message) { return message.message_id() == id; };
}
auto is_request(std::string_view id) {
  return [id](const auto& message) { return message.request().message_id() == id; };
}
auto is_consent(std::string_view purpose, v1::Channel channel) {
  return [=](const auto& c) { return c.channel() == channel && c.purpose() == purpose; };
}
auto is_suppression(v1::Channel channel) {
  return [=](const auto& s) { return s.channel() == channel; };
}
auto is_run(std::string_view journey, std::string_view key) {
  return [=](const auto& run) { return run.journey() == journey && run.key() == key; };
}

void note_entry(v1::Person& person, std::uint64_t number, std::int64_t at) {
  person.set_entries(number);
  person.set_last_entry(at);
}

// The longest that is over goes first, and what must not be started again after everything else.
void forget_run(v1::Person& person) {
  auto& runs = *person.mutable_runs();
  const v1::JourneyRun* oldest = nullptr;
  for (const auto& run : runs) {
    if (run.ended() == 0) continue;
    if (oldest == nullptr || std::pair(run.once(), run.ended()) < std::pair(oldest->once(), oldest->ended()))
      oldest = &run;
  }
  if (oldest == nullptr) return;
  person.set_forgotten_run(std::max(person.forgotten_run(), oldest->run()));
  runs.erase(std::find_if(runs.begin(), runs.end(), [&](const auto& run) { return &run == oldest; }));
}

void count(v1::Person& person, const v1::MessageChanged& event) {
  auto& counted = *person.mutable_counted();
  counted.erase(std::remove_if(counted.begin(), counted.end(), is_message(event.message_id())),
                counted.end());
  if (event.counted() == 0) return;
  const auto at = std::upper_bound(counted.begin(), counted.end(), event.counted(),
                                   [](std::int64_t time, const auto& one) { return time < one.at(); });
  auto& one = *insert_at(counted, static_cast<int>(at - counted.begin()));
  one.set_message_id(event.message_id());
  one.set_at(event.counted());
  one.set_channel(event.channel());
  one.set_purpose(event.purpose());
  int old = std::max(0, counted.size() - kMostCounted);
  while (old < counted.size() && counted[old].at() <= event.at() - kCountedFor) ++old;
  counted.DeleteSubrange(0, old);
}

}  // namespace

const v1::Trait* find_trait(const v1::Person& person, std::string_view name) {
  return by_name(person.traits(), name);
}
const v1::EventCount* find_event(const v1::Person& person, std::string_view name) {
  return by_name(person.events(), name);
}
const v1::Consent* find_consent(const v1::Person& person, std::string_view purpose, v1::Channel channel) {
  return find_if(person.consents(), is_consent(purpose, channel));
}
const v1::Suppression* find_suppression(const v1::Person& person, v1::Channel channel) {
  return find_if(person.suppressions(), is_suppression(channel));
}
const v1::PendingMessage* find_message(const v1::Person& person, std::string_view message_id) {
  return find_if(person.messages(), is_request(message_id));
}
const v1::CountedMessage* find_counted(const v1::Person& person, std::string_view message_id) {
  return find_if(person.counted(), is_message(message_id));
}
const v1::JourneyRun* find_run(const v1::Person& person, std::string_view journey, std::string_view key) {
  return find_if(person.runs(), is_run(journey, key));
}

std::string text_of(const v1::Trait& trait) {
  return text_of_json(trait.json());
}

std::int64_t seen_hour(const v1::Person& person, std::int64_t now) {
  const auto last = person.seen().empty() ? 0 : person.seen().rbegin()->hour();
  return std::max(now / kHour, last);  // a clock that is set back does not reorder them
}

bool was_seen(const v1::Person& person, std::string_view id, std::int64_t now) {
  const auto since = seen_hour(person, now) - kKeptHours;
  for (auto hour = person.seen().rbegin(); hour != person.seen().rend() && hour->hour() >= since; ++hour) {
    const auto& ids = hour->ids();
    for (std::size_t at = 0; at + kIdBytes <= ids.size(); at += kIdBytes)
      if (ids.compare(at, kIdBytes, id) == 0) return true;
  }
  return false;
}

std::uint64_t seen_events(const v1::Person& person, std::int64_t now) {
  const auto since = seen_hour(person, now) - kKeptHours;
  std::uint64_t events = 0;
  for (const auto& hour : person.seen())
    if (hour.hour() >= since) events += hour.ids().size() / kIdBytes;
  return events;
}

void apply(v1::Person& person, const v1::EventTaken& event, std::uint64_t number) {
  note_entry(person, number, event.received());
  if (person.first_seen() == 0) person.set_first_seen(event.received());
  person.set_last_seen(std::max(person.last_seen(), event.received()));

  const auto hour = seen_hour(person, event.received());
  auto& seen = *person.mutable_seen();
  int old = 0;
  while (old < seen.size() && seen[old].hour() < hour - kKeptHours) ++old;
  seen.DeleteSubrange(0, old);
  if (seen.empty() || seen.rbegin()->hour() != hour) seen.Add()->set_hour(hour);
  seen.rbegin()->mutable_ids()->append(event.id());

  if (!event.counted().empty()) {
    auto& counted = *named(*person.mutable_events(), event.counted());
    counted.set_first(counted.count() == 0 ? event.at() : std::min(counted.first(), event.at()));
    counted.set_last(counted.count() == 0 ? event.at() : std::max(counted.last(), event.at()));
    counted.set_count(counted.count() + 1);
  }
  for (const auto& trait : event.traits()) *named(*person.mutable_traits(), trait.name()) = trait;
  if (!event.geo_zone().empty()) person.set_geo_zone(event.geo_zone());
  person.set_left_out(person.left_out() + event.left_out());
}

void apply(v1::Person& person, const v1::ConsentSet& event, std::uint64_t number) {
  note_entry(person, number, event.consent().at());
  auto& consents = *person.mutable_consents();
  auto* known = find_if(consents, is_consent(event.consent().purpose(), event.consent().channel()));
  *(known != nullptr ? known : consents.Add()) = event.consent();
}

void apply(v1::Person& person, const v1::SuppressionSet& event, std::uint64_t number) {
  note_entry(person, number, event.at());
  auto& all = *person.mutable_suppressions();
  all.erase(std::remove_if(all.begin(), all.end(), is_suppression(event.suppression().channel())), all.end());
  if (!event.removed()) *all.Add() = event.suppression();
}

void apply(v1::Person& person, const v1::RunChanged& event, std::uint64_t number) {
  note_entry(person, number, event.at());
  if (event.run().run() == 0) return;  // it was not started
  auto& runs = *person.mutable_runs();
  if (auto* known = find_if(runs, is_run(event.run().journey(), event.run().key()))) {
    *known = event.run();
    return;
  }
  if (runs.size() >= kMostRuns) forget_run(person);
  *runs.Add() = event.run();
}

void apply(v1::Person& person, const v1::MessageChanged& event, std::uint64_t number) {
  note_entry(person, number, event.at());
  count(person, event);
  auto& messages = *person.mutable_messages();
  auto* known = find_if(messages, is_request(event.message_id()));
  if (event.what() != "queued" && event.what() != "deferred") {
    if (known != nullptr)
      messages.erase(std::find_if(messages.begin(), messages.end(), is_request(event.message_id())));
    return;
  }
  if (known == nullptr) {
    known = messages.Add();
    *known->mutable_request() = event.request();
  }
  known->set_until(event.until());
}

}  // namespace cx
