#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cx/v1/customer.pb.h"

// What is looked up in a Person, and what its events do to it.

namespace cx {

// What a customer may have at most; see actors/customer/README.md for what happens beyond it.
constexpr int kMostTraits = 200;
constexpr std::size_t kMostTraitBytes = 8'192;  // of the value as JSON
constexpr std::size_t kMostNameBytes = 800;     // of a trait or event: 200 characters
constexpr int kMostEventNames = 500;
constexpr std::uint64_t kMostEvents = 100'000;  // in some 24 hours
constexpr int kMostConsents = 200;
constexpr int kMostCounted = 5'000;
constexpr int kMostMessages = 100;  // that have not left
constexpr int kMostRuns = 300;

// Null for what is not there.
const v1::Trait* find_trait(const v1::Person& person, std::string_view name);
const v1::EventCount* find_event(const v1::Person& person, std::string_view name);
const v1::Consent* find_consent(const v1::Person& person, std::string_view purpose, v1::Channel channel);
const v1::Suppression* find_suppression(const v1::Person& person, v1::Channel channel);
const v1::PendingMessage* find_message(const v1::Person& person, std::string_view message_id);
const v1::CountedMessage* find_counted(const v1::Person& person, std::string_view message_id);
const v1::JourneyRun* find_run(const v1::Person& person, std::string_view journey, std::string_view key);

/// Whether the trait is there: neither absent nor taken away.
inline bool has_value(const v1::Trait& trait) {
  return trait.json() != "null";
}
/// A trait that is a text; empty for any other.
std::string text_of(const v1::Trait& trait);
inline bool holds(const v1::Suppression& suppression, std::int64_t now) {
  return suppression.until() == 0 || suppression.until() > now;
}

/// The hour that an event is noted in which is taken now: SeenHour.
std::int64_t seen_hour(const v1::Person& person, std::int64_t now);
/// Whether an event was taken within 24 hours, or some minutes more; `id` as SeenHour has it.
bool was_seen(const v1::Person& person, std::string_view id, std::int64_t now);
std::uint64_t seen_events(const v1::Person& person, std::int64_t now);

// Each makes the entry of the timeline that `number` says.
void apply(v1::Person& person, const v1::EventTaken& event, std::uint64_t number);
void apply(v1::Person& person, const v1::ConsentSet& event, std::uint64_t number);
void apply(v1::Person& person, const v1::SuppressionSet& event, std::uint64_t number);
void apply(v1::Person& person, const v1::RunChanged& event, std::uint64_t number);
void apply(v1::Person& person, const v1::MessageChanged& event, std::uint64_t number);

}  // namespace cx
