#pragma once

// What the decisions of a customer have in common; for actors/customer/*.cpp only.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/customer/customer.hpp"
#include "actors/journey/book.hpp"

namespace cx {

/// Adds events to a decision, and numbers them as entries of the timeline.
class Numbered {
 public:
  Numbered(const v1::CustomerState& state, std::vector<v1::CustomerEvent>& events)
      : events_(events), last_(state.person().entries()) {}
  v1::CustomerEvent& add() {
    auto& event = events_.emplace_back();
    event.set_number(++last_);
    return event;
  }

 private:
  std::vector<v1::CustomerEvent>& events_;
  std::uint64_t last_;
};

/// What an event is counted as, and what triggers and waits call it: a track call's name; "page", "screen",
/// "identify" or "group" for those; empty for one that is not counted.
std::string_view name_of(const v1::TakeEvent& event);

/// Something that happened, as journeys see it.
struct Happened {
  std::string_view name;
  std::string json;         ///< {"name", "properties", "context", "timestamp"}
  std::int64_t at;          ///< Unix milliseconds
  std::int64_t caused_at;   ///< Unix microseconds; 0 for nothing
  const v1::Person& after;  ///< the person with what the event has changed: traits and events are enough
};

/// Starts those journeys of `facts` that the event starts, and tells it to those that run and listen for it.
void tell_journeys(const journey::Book& book, const v1::CustomerFacts* facts, const v1::Person& person,
                   const Happened& happened, const Context& context, Numbered& numbered, Effects& effects);

/// As much of a text as has room in `most` bytes, in whole characters.
std::string cut(std::string_view text, std::size_t most);

}  // namespace cx
